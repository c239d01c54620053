import os
import socket

from tradeflow.ports import free_port, is_free, port_holder


def test_a_taken_port_is_not_free_and_its_holder_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert f"(pid {os.getpid()})" in port_holder(port)
    assert is_free(port)
    assert port_holder(port) is None


def test_a_free_port_is_never_one_that_outgoing_connections_get():
    ports = {free_port() for _ in range(20)}
    assert all(20000 <= port <= 32000 and is_free(port) for port in ports)
    assert len(ports) > 10
