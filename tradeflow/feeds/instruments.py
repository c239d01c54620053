"""What an exchange lists, from its REST interface: names, and the terms of each instrument."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol, runtime_checkable

from cryptofeed.feed import Feed
from cryptofeed.symbols import Symbols

from tradeflow.feeds.source import FeedError
from tradeflow.messages import Listing

logger = logging.getLogger(__name__)

INSTRUMENTS_AGE = 3600.0
"""Seconds after which they are read anew, at the next connection."""
DOUBTED_AGE = 1.0
"""The same, where a book contradicts them."""


@runtime_checkable
class Lister(Protocol):
    """A Feed class that knows what its exchange says of an instrument."""

    def listing(self, entry: Any) -> tuple[str, Listing]:
        """The exchange's name, and the terms, of one entry of `entries`; a classmethod."""

    def entries(self, data: Any) -> Iterable[Any]:
        """Those of the answer; a classmethod."""


class Instruments(NamedTuple):
    """`symbols` and `info`: cryptofeed's tables; `listings`: by the exchange's own names."""

    symbols: dict[str, str]
    info: dict[str, Any]
    listings: dict[str, Listing]
    time: int
    """When they were read, nanoseconds."""
    read: float
    """The same, monotonic."""


_loaded: dict[tuple[str, str], Instruments] = {}


async def load_instruments(feed_class: type[Feed], *, in_doubt: bool = False) -> Instruments:
    """Fill cryptofeed's symbol table for the class, from the exchange at most once an hour (in doubt: a second) and
    endpoint.

    cryptofeed would do it in the constructor, blocking, and it keeps one table for a class id, whatever the
    endpoint.  Raises FeedError with the reason, unless older instruments are known."""
    key = (feed_class.id, feed_class.rest_endpoints[0].address)
    max_age = DOUBTED_AGE if in_doubt else INSTRUMENTS_AGE
    if key not in _loaded or time.monotonic() - _loaded[key].read > max_age:
        try:
            _loaded[key] = await asyncio.to_thread(_read, feed_class)
        except Exception as error:
            if key not in _loaded:
                raise FeedError(f"can't read the instruments at {key[1]}: {error}") from error
            logger.warning("%s: instruments at %s stay an old copy: %s", *key, error)
    Symbols.set(feed_class.id, _loaded[key].symbols, _loaded[key].info)
    return _loaded[key]


def parsed(feed_class: type[Feed], bodies: list[Any]) -> Instruments:
    """From the answers of the exchange, as cryptofeed's JSON parser gives them: numbers are Decimal."""
    data = bodies if len(bodies) > 1 else bodies[0]
    symbols, info = feed_class._parse_symbol_data(data)
    listings: dict[str, Listing] = {}
    if isinstance(feed_class, Lister):
        for entry in feed_class.entries(data):
            try:
                name, listing = feed_class.listing(entry)
            except (LookupError, TypeError, ValueError, ArithmeticError) as error:
                logger.debug("%s: no terms in %.200r: %r", feed_class.id, entry, error)
            else:
                listings[name] = listing
    return Instruments(symbols, info, listings, time.time_ns(), time.monotonic())


def _read(feed_class: type[Feed]) -> Instruments:
    urls: list[str] = []
    for endpoint in feed_class.rest_endpoints:
        routes = feed_class._symbol_endpoint_prepare(endpoint)
        urls.extend([routes] if isinstance(routes, str) else routes)
    return parsed(feed_class, [feed_class.http_sync.read(url, json=True, uuid=feed_class.id) for url in urls])
