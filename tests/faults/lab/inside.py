"""`python -m tests.faults.lab.inside NAME ARGUMENTS…`: the command line of tradeflow in a network namespace."""

import os
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    with (Path("/run/netns") / sys.argv.pop(1)).open() as namespace:
        os.setns(namespace.fileno(), os.CLONE_NEWNET)
    runpy.run_module("tradeflow.cli", run_name="__main__", alter_sys=True)
