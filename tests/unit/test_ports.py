import os
import socket

import pytest

from tradeflow.ports import ListenError, PortTakenError, check_listen, free_port, is_free, port_holder


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


def test_why_the_web_views_can_not_listen_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTakenError, match=rf"port {port} is taken by .+\(pid {os.getpid()}\): end it"):
            check_listen("127.0.0.1", port)
    check_listen("127.0.0.1", port)
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(ListenError, match=f"TRADEFLOW_WEB_HOST='{host}' is no address of this machine"):
            check_listen(host, port)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_the_web_views_may_listen_on_ipv6():
    check_listen("::", free_port())
