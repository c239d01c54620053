"""A real Prometheus that scrapes workers of a test, by the configuration and the rules of `deploy/prometheus`."""

from __future__ import annotations

import math
import shutil
import subprocess
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

from tests.faults.cluster import until
from tradeflow.demo.stack import get
from tradeflow.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"

Rules = dict[str, dict[str, Any]]


def rules() -> Rules:
    """By alert."""
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "tradeflow.rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


class Prometheus:
    """Scrapes each second; `change` may make the rules quicker.  Skips where there is no Prometheus."""

    def __init__(
        self, directory: Path, targets: Sequence[str], change: Callable[[Rules], None] = lambda _: None
    ) -> None:
        command = shutil.which("prometheus")
        if command is None:
            pytest.skip("needs Prometheus: apt install prometheus, or brew install prometheus")
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = config["scrape_configs"]
        job["static_configs"] = [{"targets": [target.removeprefix("http://") for target in targets]}]
        del job["dns_sd_configs"]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        found = rules()
        change(found)
        groups = {"groups": [{"name": "tradeflow", "rules": list(found.values())}]}
        (directory / "tradeflow.rules.yml").write_text(yaml.safe_dump(groups))
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = [
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._log = (directory / "log").open("w")
        self._process = subprocess.Popen([command, *options], stdout=self._log, stderr=self._log)

    def __enter__(self) -> Self:
        until(self._up, 30, "Prometheus has scraped a worker")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def ask(self, expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        return list(get(f"{self.url}/api/v1/query?{query}")["data"]["result"])

    def numbers(self, expression: str) -> list[float]:
        """What an expression gives, without what is no number: a rate of nothing."""
        values = [float(sample["value"][1]) for sample in self.ask(expression)]
        return [value for value in values if not math.isnan(value)]

    def _up(self) -> bool:
        try:
            return 1 in self.numbers('up{job="tradeflow"}')
        except OSError:
            return False
