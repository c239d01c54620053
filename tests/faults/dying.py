"""`python -m tests.faults.dying N ARGUMENTS…`: the command line of tradeflow, that kills itself at the worst moment.

All of a checkpoint is in Kafka but its marks, which would be the worker's Nth and later ones: then it is kill -9."""

import os
import runpy
import signal
import sys
from typing import Any

from tradeflow.worker.slots import Slots


class Dying(Slots[Any]):
    left = 0

    def mark(self, cut: int) -> Any:
        Dying.left -= 1
        if Dying.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().mark(cut)


if __name__ == "__main__":
    Dying.left = int(sys.argv.pop(1))
    import tradeflow.worker.checkpoint

    tradeflow.worker.checkpoint.Slots = Dying  # type: ignore[misc, assignment]
    runpy.run_module("tradeflow.cli", run_name="__main__", alter_sys=True)
