"""A real Prometheus that scrapes a real worker: every metric comes, every query of the dashboard has an answer."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults.cluster import until
from tradeflow.demo.stack import Stack, get
from tradeflow.metrics import METRICS
from tradeflow.ports import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DEPLOY = Path(__file__).parents[2] / "deploy"
ONLY_WHEN_IT_HAPPENS = {"tradeflow_dead_letters_total"}  # by topic


class Prometheus:
    def __init__(self, command: str, directory: Path, target: str) -> None:
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = config["scrape_configs"]
        job["static_configs"] = [{"targets": [target]}]
        del job["dns_sd_configs"]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        shutil.copy(DEPLOY / "prometheus" / "tradeflow.rules.yml", directory)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = [
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.log = (directory / "log").open("w")
        self.process = subprocess.Popen([command, *options], stdout=self.log, stderr=self.log)

    def ask(self, expression: str) -> list[Any]:
        query = urllib.parse.urlencode({"query": expression})
        return list(get(f"{self.url}/api/v1/query?{query}")["data"]["result"])

    def numbers(self, expression: str) -> list[float]:
        """What an expression gives, without what is no number: a rate of nothing."""
        values = [float(sample["value"][1]) for sample in self.ask(expression)]
        return [value for value in values if not math.isnan(value)]

    def up(self) -> bool:
        try:
            return [sample["value"][1] for sample in self.ask('up{job="tradeflow"}')] == ["1"]
        except OSError:
            return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    command = shutil.which("prometheus")
    if command is None:
        pytest.skip("needs Prometheus: apt install prometheus, or brew install prometheus")
    server = Prometheus(command, tmp_path_factory.mktemp("prometheus"), stack.web_url.removeprefix("http://"))
    try:
        until(server.up, 30, "Prometheus has scraped the worker")
        # rate() needs two scrapes
        until(lambda: server.ask("sum(rate(websocket_messages_total[10s])) > 0"), 30, "there is a rate")
        yield server
    finally:
        server.stop()


def test_every_metric_is_scraped(prometheus: Prometheus) -> None:
    for name, metric in METRICS.items():
        series = f"{name}_count" if metric.kind in ("histogram", "summary") else name
        if name not in ONLY_WHEN_IT_HAPPENS:
            assert prometheus.ask(series), f"{series} has no sample"
    assert float(prometheus.ask('sum(tradeflow_books{state="live"})')[0]["value"][1]) == 15
    assert float(prometheus.ask("max(tradeflow_books_served)")[0]["value"][1]) == 15
    assert float(prometheus.ask("sum(active_connections)")[0]["value"][1]) == 4


def test_every_query_of_the_dashboard_has_an_answer(prometheus: Prometheus) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "tradeflow.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "30s").replace("$exchange", ".*")
            # Of orders there is only something to say when there was one.
            until(lambda e=expression: prometheus.numbers(e), 60, f"{panel['title']}: {expression}")


def test_a_healthy_worker_raises_no_alert(prometheus: Prometheus) -> None:
    def evaluated() -> list[Any]:
        (group,) = get(f"{prometheus.url}/api/v1/rules")["data"]["groups"]
        rules = group["rules"]
        return rules if all(rule["health"] == "ok" for rule in rules) else []

    rules = until(evaluated, 15, "every rule is evaluated")
    assert len(rules) == len(
        yaml.safe_load((DEPLOY / "prometheus" / "tradeflow.rules.yml").read_text())["groups"][0]["rules"]
    )
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
