"""The pictures in docs/images: the dashboard on simulated exchanges, in the system's Chromium, at three sizes."""

from __future__ import annotations

import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tradeflow.demo.stack import Stack
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"desk": (1280, 800), "tablet": (820, 1100), "phone": (390, 844)}
SHOTS = (
    ("books", "", "desk", "light"),
    ("symbol", "symbol/BTC-USDT", "desk", "dark"),
    ("orders", "orders", "desk", "light"),
    ("positions", "positions", "desk", "light"),
    ("strategies", "strategies", "tablet", "dark"),
    ("feeds", "feeds", "tablet", "light"),
    ("latency", "latency", "tablet", "dark"),
    ("books", "", "phone", "dark"),
    ("symbol", "symbol/BTC-USDT", "phone", "light"),
)
WARM_UP = 30.0
"""Seconds until there are orders, positions and a minute's latencies."""
LOOK = 8.0
"""Seconds that a page is open before its picture: mids and rates need time."""


def chromium() -> str | None:
    """The system's, which playwright can drive as well as one of its own."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browser(command: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root may not have Chromium's sandbox; the pages are our own.
        found = playwright.chromium.launch(executable_path=command, args=["--no-sandbox"])
        yield found
        found.close()


def control(stack: Stack, exchange: str, fault: str) -> None:
    """A fault of a simulated exchange."""
    url = f"{stack.env['TRADEFLOW_SIMULATOR_URL']}/control/{exchange}/{fault}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method="POST")  # noqa: S310 (our own simulator)
    opener.open(request, timeout=5).close()


def open_page(browser: Any, stack: Stack, place: str, size: str, scheme: str) -> Any:
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{stack.web_url}/#/{place}")
    page.wait_for_selector("#connection[data-status=open]")
    return page


def main() -> int:
    command = chromium()
    if command is None:
        sys.stderr.write("needs Chromium: apt install chromium, or brew install --cask chromium\n")
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    settings = load_settings(web_port=free_port())
    with Stack(settings, simulate=True, progress=print) as stack, browser(command) as found:
        time.sleep(WARM_UP)
        for name, place, size, scheme in SHOTS:
            page = open_page(found, stack, place, size, scheme)
            time.sleep(LOOK)
            if name == "orders":
                page.click(".order:has(.status[data-status=FILLED]) summary")
            page.screenshot(path=IMAGES / f"{name}-{size}.png", full_page=(name, size) == ("symbol", "desk"))
            page.context.close()
        page = open_page(found, stack, "", "desk", "light")
        time.sleep(LOOK)
        control(stack, "kraken", "refuse")
        control(stack, "kraken", "drop")
        page.wait_for_selector("tr[data-state=stale]")
        page.screenshot(path=IMAGES / "stale-desk.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
