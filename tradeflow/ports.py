"""TCP ports of this machine: a free one, and who holds a taken one."""

from __future__ import annotations

import errno
import random
import socket

import psutil


class ListenError(OSError):
    """The web views can't listen where they should; the message says why and what to set."""


class PortTakenError(ListenError):
    """Another process listens on their port."""


def check_listen(host: str, port: int) -> None:
    """Raises ListenError or PortTakenError unless the web views could listen there now."""
    error = _refusal(host, port)
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(port) or "another process"
        raise PortTakenError(
            f"port {port} is taken by {holder}: end it, or set TRADEFLOW_WEB_PORT to another one"
        )
    if error.errno == errno.EACCES:
        raise ListenError(
            f"port {port} is not allowed to this user: set TRADEFLOW_WEB_PORT to one above 1023"
        )
    raise ListenError(
        f"TRADEFLOW_WEB_HOST={host!r} is no address of this machine ({error.strerror}): correct it"
    )


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback now."""
    return _refusal("127.0.0.1", port) is None


def _refusal(host: str, port: int) -> OSError | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError as error:
        return error
    return None


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
