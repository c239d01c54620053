"""A plain Faust agent that orders: bids while the spread is wide.  `faust -A plain_orders worker -l info`"""

from collections.abc import AsyncIterable
from decimal import Decimal

from tradeflow import app, book_changes, buy, orders
from tradeflow.market import BookChange
from tradeflow.messages import Order

WIDE = Decimal("0.0002")
"""Of the bid."""
waiting: dict[str, Order] = {}
"""By exchange; of this process alone, as nothing of a plain agent is checkpointed."""


@app.agent(book_changes, name="spread-maker")
async def spread_maker(changes: AsyncIterable[BookChange]) -> None:
    async for change in changes:
        if change.symbol != "BTC-USDT" or change.state != "live" or not change.bid or not change.ask:
            continue
        bid, ask = Decimal(change.bid[0]), Decimal(change.ask[0])
        wide = ask - bid > WIDE * bid
        if wide and change.exchange not in waiting:
            order = buy(change, bid, "0.01", post_only=True, tag="wide")
            waiting[change.exchange] = await orders.send(order, strategy="spread-maker", change=change)
        elif not wide and change.exchange in waiting:
            await orders.cancel(waiting.pop(change.exchange), change=change)
