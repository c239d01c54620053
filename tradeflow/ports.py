"""TCP ports of this machine: a free one, and who holds a taken one."""

from __future__ import annotations

import random
import socket

import psutil


class PortTakenError(OSError):
    """The port of the web views is in use; the message says by whom."""

    @classmethod
    def of(cls, port: int) -> PortTakenError:
        holder = port_holder(port) or "another process"
        return cls(f"port {port} is taken by {holder}: end it, or set TRADEFLOW_WEB_PORT to another one")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def free_port() -> int:
    """A free port on loopback, below the range from which systems take the ports of outgoing connections.

    From within that range, a client that keeps calling a server which is down can be given the server's own
    port, connect to itself, and keep the server from ever coming back."""
    for _ in range(1000):
        port = random.randint(20000, 32000)
        if is_free(port):
            return port
    raise OSError("no free port between 20000 and 32000 on 127.0.0.1: end some of the servers there")


def port_holder(port: int) -> str | None:
    """Who listens on the port, e.g. "python3 (pid 4242)"; None if nobody or if the system doesn't tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return None
