"""`PlainOrders`: how a plain agent sends orders: into topic `orders`, and so through the gate, as a strategy's go."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import msgspec

from tables.exact import text
from tradeflow import topics
from tradeflow.market import BookChange
from tradeflow.messages import Cause, Order
from tradeflow.messages.orders import AGENT_NAME
from tradeflow.strategies.actions import ActionError, NewOrder
from tradeflow.worker.outbox import Outbox


class PlainOrders:
    """`partitions`: symbol → partition; `books`: the (exchange, symbol) pairs that are served."""

    def __init__(
        self, outbox: Outbox, partitions: Mapping[str, int], books: Collection[tuple[str, str]]
    ) -> None:
        self._outbox = outbox
        self._partitions = partitions
        self._books = books

    async def send(self, action: NewOrder, *, strategy: str, change: BookChange) -> Order:
        """Send what `buy` or `sell` made, because of a change; `strategy` is the agent's own name.

        Returns the order, with its id.  Raises ActionError for a book that isn't served, or a name that can't be
        one."""
        order = plain_order(action, strategy, change)
        if (order.exchange, order.symbol) not in self._books:
            raise ActionError(f"{order.exchange} {order.symbol} is not served: send it where a book is")
        await self._append(order)
        return order

    async def cancel(self, order: Order, *, change: BookChange) -> None:
        """Ask for the end of an order that send() returned; it may come too late."""
        cause, time = _cause(change), change.event_time
        await self._append(msgspec.structs.replace(order, command="CANCEL", cause=cause, event_time=time))

    async def _append(self, order: Order) -> None:
        await self._outbox.room()
        partition = self._partitions[order.symbol]
        self._outbox.append(topics.ORDERS, partition, order.symbol.encode(), msgspec.json.encode(order))


def plain_order(action: NewOrder, strategy: str, change: BookChange) -> Order:
    """The NEW command.  The same again, because of the same change, has the same id, and counts once: two that are
    meant need different tags.  Raises ActionError for a name that can't be one."""
    if not AGENT_NAME.fullmatch(strategy):
        raise ActionError(f"strategy={strategy!r}: use 1 to 64 letters, digits, dots, - or _")
    order = Order(
        order_id="",
        strategy=strategy,
        exchange=action.exchange,
        symbol=action.symbol,
        side=action.side,
        type=action.type,
        tif=action.tif,
        post_only=action.post_only,
        price=None if action.price is None else text(action.price),
        size=text(action.size),
        tag=action.tag,
        event_time=change.event_time,
        cause=_cause(change),
    )
    digest = hashlib.blake2b(msgspec.json.encode(order), digest_size=16).hexdigest()
    return msgspec.structs.replace(order, order_id=digest)


def _cause(change: BookChange) -> Cause:
    return Cause(
        kind="agent",
        exchange=change.exchange,
        symbol=change.symbol,
        epoch=change.epoch,
        sequence=change.sequence,
    )
