"""The broker's parent: ends it when its owner says so or is gone, however the owner died.  Run as a script.

usage: guard.py OWNER_PID DIRECTORY_OR_EMPTY COMMAND…

Writes the broker's pid to standard output.  A line on standard input asks for an orderly stop; its end, or
another parent than OWNER_PID, says that the owner is gone: then the broker is stopped too and DIRECTORY, the
owner's temporary one, removed.  Exits with the broker's status.  A process of its own because nothing runs in
an owner that was killed, and because only a parent can end a process without ever hitting a reused pid.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PATIENCE = 20.0  # seconds for an orderly stop
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Linux only: the guard itself may be killed too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(owner: int, directory: str, command: list[str]) -> int:
    broker = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=die_with_parent,
    )
    signal.signal(signal.SIGTERM, lambda *_: broker.terminate())
    print(broker.pid, flush=True)
    orphaned = False
    while broker.poll() is None:
        if select.select([sys.stdin], [], [], 0.1)[0]:
            orphaned = not os.read(0, 64)
            break
        if os.getppid() != owner:  # a fork of the owner's may hold the pipe open
            orphaned = True
            break
    broker.terminate()
    try:
        broker.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        broker.kill()
        broker.wait()
    if orphaned and directory:
        shutil.rmtree(directory, ignore_errors=True)
    return broker.returncode if broker.returncode >= 0 else 128 - broker.returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
