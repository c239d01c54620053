"""Metrics: what each part says becomes what Prometheus reads; rules and dashboards name only what there is."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from market_log import SECOND, T, delta, new_log, snapshot, trade
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tradeflow.messages import RawHeartbeat
from tradeflow.metrics.exposition import METRICS, of_feeds, of_lag, of_markets, of_stats, registry
from tradeflow.metrics.stats import Stats
from tradeflow.strategies import Strategy
from tradeflow.worker.outbox import Sent

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "tradeflow.rules.yml"
RULE_TESTS = RULES.with_name("tradeflow.rules.test.yml")
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "tradeflow.json"


class TP(NamedTuple):
    topic: str
    partition: int


def read(found: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """(metric, label values in alphabetical order of their names …) → value, as Prometheus parses it."""
    families = text_string_to_metric_families(generate_latest(found).decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


class Raises(Strategy):
    def on_book(self, book, ctx):
        raise RuntimeError("on purpose")


def test_books_say_their_state_age_levels_and_records():
    log = new_log(Raises())
    log(snapshot(bids=[("100", "1"), ("99", "1")]), delta(1, 7 * SECOND, bids=[("100", "2")]))
    log(delta(1, 7 * SECOND), delta(4, 7 * SECOND), trade(0, 7 * SECOND, "a"))
    log(snapshot(exchange="kraken", time=7 * SECOND))
    said = read(registry(lambda: of_markets([log.market], T + 8 * SECOND)))
    assert said["tradeflow_books", "live"] == said["tradeflow_books", "broken"] == 1
    assert said["tradeflow_books", "stale"] == said["tradeflow_books", "syncing"] == 0
    assert said["tradeflow_book_live", "kraken", "BTC-USDT"] == 1
    assert said["tradeflow_book_live", "binance", "BTC-USDT"] == 0
    assert said["tradeflow_book_age_seconds", "kraken", "BTC-USDT"] == 1
    assert said["tradeflow_book_levels", "binance", "bid", "BTC-USDT"] == 2
    assert said["tradeflow_feed_lag_seconds", "kraken", "BTC-USDT"] == 7 + 5e-9
    assert said["tradeflow_book_records_total", "binance", "deltas"] == 1
    assert said["tradeflow_book_records_total", "binance", "trades"] == 1
    assert said["tradeflow_duplicates_total",] == 1
    assert said["tradeflow_gaps_total",] == 1
    assert said["tradeflow_halted_strategies", "raises"] == 1
    assert said["tradeflow_partitions",] == 1


def test_a_worker_that_was_frozen_calls_no_book_live():
    log = new_log()
    log(snapshot(), snapshot(exchange="kraken"))
    said = read(registry(lambda: of_markets([log.market], T + 60 * SECOND)))
    assert said["tradeflow_books", "stale"] == 2
    assert said["tradeflow_book_live", "kraken", "BTC-USDT"] == 0


def test_feeds_say_what_they_took_and_what_went_wrong():
    feed = {
        "feed": 3,
        "exchange": "kraken",
        "state": "live",
        "since": 50 * SECOND,
        "messages": 1234,
        "reconnects": 2,
        "gaps": 3,
        "errors": 1,
        "resyncs": 4,
        "last_message_time": 98 * SECOND,
    }
    waiting = feed | {"feed": 4, "state": "waiting", "last_message_time": None}
    said = read(registry(lambda: of_feeds([feed, waiting], 100 * SECOND)))
    assert said["websocket_messages_total", "kraken", "3"] == 1234
    assert said["active_connections", "kraken"] == 1
    assert said["errors_total", "reconnect"] == 4
    assert said["errors_total", "gap"] == 6
    assert said["errors_total", "publish"] == 2
    assert said["tradeflow_feed_silence_seconds", "kraken", "3"] == 2
    assert said["tradeflow_feed_silence_seconds", "kraken", "4"] == 50
    assert said["tradeflow_feed_live", "kraken", "4"] == 0


async def test_runs_stages_orders_and_dead_letters_are_counted():
    stats, now = Stats(), time.time_ns()
    stats.dead_letters["kraken-orderbook"] += 2
    beat = RawHeartbeat(exchange="a", symbol="b", epoch=1, sequence=1, receipt_time=now - 9 * SECOND)
    stats.normalized([beat])
    old = now - T - SECOND // 5  # a fifth of a second ago
    stats.applied([delta(1, old), delta(2, old + SECOND)], 3e-5)
    sent = asyncio.get_running_loop().create_future()
    stats.order_sent(b'{"strategy":"imbalance","event_time":%d}' % (now - SECOND), sent)
    sent.set_result(Sent(1, 1))
    for _ in range(2):
        stats.execution_sent(b'{"type":"execution","status":"DENIED","reason_code":"POSITION"}')
    await asyncio.sleep(0)
    said = read(registry(lambda: of_stats(stats)))
    assert said["order_book_update_duration_seconds_count",] == 2
    assert said["order_book_update_duration_seconds_bucket", "1e-05"] == 0
    assert said["order_book_update_duration_seconds_bucket", "2e-05"] == 2
    assert said["order_book_update_duration_seconds_sum",] == pytest.approx(3e-5)
    assert said["tradeflow_run_records_bucket", "1"] == 0
    assert said["tradeflow_run_records_bucket", "2"] == 1
    assert said["tradeflow_stage_seconds_count", "normalized"] == 0, "a heartbeat's age is no latency"
    assert said["tradeflow_stage_seconds_bucket", "0.1", "applied"] == 0
    assert said["tradeflow_stage_seconds_count", "applied"] == 1
    assert said["tradeflow_stage_seconds_sum", "acknowledged"] >= 1
    assert said["tradeflow_orders_total", "imbalance"] == 1
    assert said["tradeflow_executions_total", "POSITION", "DENIED"] == 2
    assert said["tradeflow_dead_letters_total", "kraken-orderbook"] == 2
    assert said["errors_total", "dead_letter"] == 2


def test_the_process_and_lag_are_there():
    said = read(registry(lambda: of_lag({TP("market-events", 2): 17})))
    assert said["tradeflow_consumer_lag_records", "2", "market-events"] == 17
    assert said["process_start_time_seconds",] > 1_600_000_000


# -- what reads them


def expressions() -> list[str]:
    rules = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return rules + [target["expr"] for panel in panels for target in panel["targets"]]


def test_rules_and_dashboard_name_metrics_that_exist():
    for expression in expressions():
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", expression)
        names = re.findall(r"\b[a-z_]+_[a-z_]+\b", bare)
        for name in set(names) - {"histogram_quantile"}:
            known = re.sub(r"_(bucket|sum|count)$", "", name)
            assert known in METRICS or name.startswith("process_"), f"{name} in {expression}"


def test_every_alert_says_what_to_do_and_is_tested():
    tested = {
        alert["alertname"]
        for test in yaml.safe_load(RULE_TESTS.read_text())["tests"]
        for alert in test.get("alert_rule_test", [])
        if alert["exp_alerts"]
    }
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"].keys() == {"summary", "action"}
            assert rule["labels"]["severity"] in ("page", "ticket")
            assert rule["alert"] in tested


def test_rules_fire_when_they_should_and_only_then():
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs promtool: apt install prometheus, or brew install prometheus")
    for command in (["check", "config", "prometheus.yml"], ["test", "rules", RULE_TESTS.name]):
        done = subprocess.run([promtool, *command], cwd=RULES.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
