"""`Loop`: a market whose orders and executions come back through its log at once, with no Kafka in between."""

from __future__ import annotations

import msgspec

from tradeflow.market.market import ALWAYS, Market
from tradeflow.market.served import Output
from tradeflow.messages import Command, Execution, MarketEvent, Order


class Loop:
    """What the door (agent `risk`) and the venue put into the log live is put there after the event that led to it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.offset = 0
        """Of the next event."""
        self._orders = 0
        self._decode_order = msgspec.json.Decoder(Order).decode
        self._decode_execution = msgspec.json.Decoder(Execution).decode

    def apply(self, event: MarketEvent, appended: int = ALWAYS) -> tuple[list[MarketEvent], list[Output]]:
        """(the event and all that follows it in the log, what was said to everybody else), each in order."""
        market, log = self.market, [event]
        said: list[Output] = []
        for one in log:  # which grows meanwhile
            market.apply(one, self.offset, appended)
            self.offset += 1
            for output in market.take_outputs():
                if output.topic == "market-events":
                    log.append(self._decode_execution(output.value))
                    continue
                said.append(output)
                if output.topic == "orders":
                    self._send(output.value, log)
        return log, said

    def _send(self, value: bytes, log: list[MarketEvent]) -> None:
        order = self._decode_order(value)
        if not order.shadow:
            log.append(Command(order=order, offset=self._orders, receipt_time=self.market.event_time))
        self._orders += 1
