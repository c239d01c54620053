"""`tradeflow show-config`: every setting, and where it comes from."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from tradeflow.commands.verb import json_option, say_json, terminal, verb
from tradeflow.masking import masked
from tradeflow.settings import Settings, environment_name, load_settings, sources

STYLES = {"environment": "bold", ".env": "bold", "default": "dim"}


@verb("show-config", "tradeflow show-config", "tradeflow show-config --json | jq .KAFKA_BROKERS")
@json_option
def show_config_command(as_json: bool) -> None:
    """Show every setting and where it is from.

    From the environment, from .env in this directory, or the default; the first of them wins. Secrets are masked."""
    config, found = load_settings(), sources()
    shown = {
        environment_name(field): {"value": _shown(getattr(config, field)), "source": found[field]}
        for field in Settings.model_fields
    }
    if as_json:
        say_json(shown)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("setting", "from"):
        table.add_column(title, no_wrap=True)
    table.add_column("value", overflow="fold")
    for name, setting in shown.items():
        source = str(setting["source"])
        table.add_row(name, Text(source, style=STYLES[source]), Text(_text(setting["value"])))
    terminal().print(table)


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "***"
    return masked(value) if isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    return "" if value is None else str(value)
