"""The verbs of our own, and the console script in front of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tradeflow.cli import main
from tradeflow.commands.partition_map import partition_map_command
from tradeflow.commands.show_config import show_config_command


def test_a_partition_map_is_made_and_extended(tmp_path: Path) -> None:
    file = tmp_path / "okx.json"
    done = CliRunner().invoke(partition_map_command, [str(file), "BTC-USDT", "eth/usdt", "--partitions", "2"])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == f"{file}: 2 symbols added, 2 partitions"
    done = CliRunner().invoke(partition_map_command, [str(file), "BTC-USDT", "SOL-USDT"])
    assert done.output == f"SOL-USDT: partition 0\n{file}: 1 symbols added, 2 partitions\n"
    assert json.loads(file.read_text()) == {"BTC-USDT": 0, "ETH-USDT": 1, "SOL-USDT": 0}


def test_a_new_map_has_a_partition_for_each_symbol_unless_told_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "okx.json"
    done = CliRunner().invoke(partition_map_command, [str(file), "BTC-USDT", "eth/usdt", "BTCUSDT"])
    assert done.exit_code == 0, done.output
    assert json.loads(file.read_text()) == {"BTC-USDT": 0, "ETH-USDT": 1}


def test_a_partition_map_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "okx.json"
    done = CliRunner().invoke(partition_map_command, [str(file), "BTC-USDT"])
    assert done.exit_code == 1
    assert f"{file}: can't be written (No such file or directory); name a file" in done.output


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_SECRET_KEY", "hidden")
    monkeypatch.setenv("TRADEFLOW_KAFKA_SASL_PASSWORD", "hidden")
    monkeypatch.setenv("TRADEFLOW_KAFKA_SASL_USERNAME", "me")
    monkeypatch.setenv("TRADEFLOW_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("TRADEFLOW_MAVEN_URL", "https://me:hidden@repository:8081/maven2")
    monkeypatch.setenv("REDIS_URL", "rediss://me:hidden%2Fhidden@cache:6380/0")
    for arguments in ([], ["--json"]):
        done = CliRunner().invoke(show_config_command, arguments)
        assert done.exit_code == 0
        assert "BINANCE_SECRET_KEY" in done.output
        assert "hidden" not in done.output
        assert "https://***@repository:8081/maven2" in done.output


def test_options_before_a_verb_of_our_own_are_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--json", "show-config"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["ORDER_BOOK_DEPTH"] == {"value": 20, "source": "default"}
    with pytest.raises(SystemExit) as ended:
        main(["--loud", "show-config"])
    assert ended.value.code == 2
    assert "No such option" in capsys.readouterr().err
