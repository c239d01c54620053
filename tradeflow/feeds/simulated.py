"""`SimulatedSource`: the live source of an exchange, connected to a simulator that speaks its protocol."""

from __future__ import annotations

from collections.abc import Mapping

from tradeflow.feeds.registry import make_source
from tradeflow.feeds.source import Sink, Source
from tradeflow.settings import load_settings


class SimulatedSource(Source):
    def __init__(self, exchange: str, symbols: list[str], endpoints: Mapping[str, str]) -> None:
        """endpoints: what `tradeflow simulate` prints, e.g. {"TRADEFLOW_BINANCE_WS_URL": "ws://127.0.0.1:…"}."""
        self.exchange = exchange
        self.symbols = symbols
        fields = {name.removeprefix("TRADEFLOW_").lower(): url for name, url in endpoints.items()}
        self._live = make_source(exchange, symbols, load_settings(**fields))

    async def run(self, sink: Sink) -> None:
        await self._live.run(sink)
