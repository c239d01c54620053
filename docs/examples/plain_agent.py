"""A plain Faust agent: says when the spread of a live book is wide.  `faust -A plain_agent worker -l info`"""

from collections.abc import AsyncIterable
from decimal import Decimal

from tradeflow import app, book_changes
from tradeflow.market import BookChange

WIDE = Decimal("0.0005")
"""Of the bid."""


@app.agent(book_changes, name="wide-spreads")
async def wide_spreads(changes: AsyncIterable[BookChange]) -> None:
    async for change in changes:
        if change.missed:
            print(f"{change.exchange} {change.symbol}: missed {change.missed} changes")
        if change.state == "live" and change.bid and change.ask:
            bid, ask = Decimal(change.bid[0]), Decimal(change.ask[0])
            if ask - bid > WIDE * bid:
                print(f"{change.exchange} {change.symbol}: {bid} / {ask}")
