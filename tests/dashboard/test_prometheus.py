"""A real Prometheus that scrapes a real worker: every metric comes, every query of the dashboard has an answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboard.prometheus import DEPLOY, Prometheus
from tests.dashboard.prometheus import rules as all_rules
from tests.faults.cluster import until
from tradeflow.demo.stack import Stack, get
from tradeflow.metrics.exposition import METRICS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

ONLY_WHEN_IT_HAPPENS = {"tradeflow_dead_letters_total"}  # by topic


@pytest.fixture(scope="module")
def prometheus(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), [stack.web_url]) as server:
        # rate() needs two scrapes
        until(lambda: server.ask("sum(rate(websocket_messages_total[10s])) > 0"), 30, "there is a rate")
        yield server


def test_every_metric_is_scraped(stack: Stack, prometheus: Prometheus) -> None:
    for name, metric in METRICS.items():
        series = f"{name}_count" if metric.kind in ("histogram", "summary") else name
        if name not in ONLY_WHEN_IT_HAPPENS and ("_redis_" not in name or "REDIS_URL" in stack.env):
            assert prometheus.ask(series), f"{series} has no sample"
    assert float(prometheus.ask('sum(tradeflow_books{state="live"})')[0]["value"][1]) == 15
    assert float(prometheus.ask("max(tradeflow_books_served)")[0]["value"][1]) == 15
    assert float(prometheus.ask("sum(active_connections)")[0]["value"][1]) == 4


def test_every_query_of_the_dashboard_has_an_answer(stack: Stack, prometheus: Prometheus) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "tradeflow.json").read_text())
    for panel in dashboard["panels"]:
        if "Empty without REDIS_URL" in panel["description"] and "REDIS_URL" not in stack.env:
            continue
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
    assert {rule["name"] for rule in rules} == all_rules().keys()
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
