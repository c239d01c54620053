"""One running system, for a browser and for Prometheus to look at."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from scripts import screenshots
from tests.faults.cluster import until
from tests.redis_server import RedisServer
from tradeflow.demo.stack import Stack
from tradeflow.ports import free_port
from tradeflow.settings import load_settings

TOKEN = "a-token-for-these-tests"


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(
        load_settings(web_port=free_port()),
        simulate=True,
        data_dir=tmp_path_factory.mktemp("dashboard"),
        simulator_options=("--rate", "50", "--depth", "40"),
    )
    stack.env["TRADEFLOW_TOKEN"] = TOKEN
    with ExitStack() as running:
        if shutil.which("redis-server"):
            redis = running.enter_context(RedisServer(tmp_path_factory.mktemp("redis")))
            stack.env["REDIS_URL"] = redis.url
        running.enter_context(stack)
        wait_live(stack)
        until(lambda: stack.get("/orders")["orders"], 60, "an order comes")
        yield stack


def wait_live(stack: Stack) -> None:
    def live() -> bool:
        stack.check()
        return all(book["state"] == "live" for book in stack.get("/books")["books"])

    until(live, 60, "every book is live")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    command = screenshots.chromium()
    if command is None:
        pytest.skip("needs Chromium: apt install chromium, or brew install --cask chromium")
    with screenshots.browser(command) as browser:
        yield browser


class Page:
    """A page of the dashboard, and what it complained of."""

    def __init__(self, browser: Any, stack: Stack, width: int, height: int, scheme: str = "light") -> None:
        self.url = stack.web_url
        self.context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def open(self, place: str = "") -> Any:
        self.page.goto(f"{self.url}/#/{place}")
        self.page.wait_for_selector("#connection[data-status=open]")
        return self.page

    def wait(self, expression: str, argument: Any = None, timeout: float = 30) -> None:
        """Until a JavaScript expression or function is true.  Asked from here: the page itself may evaluate no text."""
        until(lambda: self.page.evaluate(expression, argument), timeout, expression)

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def desk(browser: Any, stack: Stack) -> Iterator[Page]:
    """On a desk's screen; afterwards: no complaint in the console, no request to anywhere else."""
    page = Page(browser, stack, 1440, 900)
    yield page
    page.close()
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith(stack.web_url)] == []
