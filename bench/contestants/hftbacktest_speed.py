"""hftbacktest: the taker of bench/backtests.py on its events.

Reads `events.json` and `setup.json`, writes `result.json`: CPU seconds of each run, orders, and what was filled."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from hftbacktest import HashMapMarketDepthBacktest
from hftbacktest_paper import asset_of, events_of, taker


def run(events: Any, setup: dict[str, Any]) -> dict[str, Any]:
    hbt = HashMapMarketDepthBacktest([asset_of(events, setup)])
    filled = np.zeros(2 * setup["seconds"] + 2)
    began = time.process_time()
    taker(hbt, setup["start"], setup["seconds"], setup["size"], filled)
    took = time.process_time() - began
    hbt.close()
    return {"seconds": took, "orders": setup["seconds"] - 1, "filled": f"{filled.sum():.8f}"}


def main() -> None:
    setup = json.loads(Path("setup.json").read_text())
    events = events_of(json.loads(Path("events.json").read_text()))
    run(events, setup | {"seconds": 3})  # numba compiles it
    Path("result.json").write_text(json.dumps([run(events, setup) for _ in range(setup["repeats"])]))


if __name__ == "__main__":
    main()
