"""Limits and balances over several books, divided in advance: the parts never sum up to more than the whole.

So each partition is strict by itself, without asking another; what one doesn't use, no other may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Context, Decimal

DECIMALS = 8
"""Of a part; what is left over by rounding down belongs to nobody."""

_UNIT = Decimal(1).scaleb(-DECIMALS)
_EXACT = Context(prec=200, rounding=ROUND_DOWN)


def shares(total: Decimal, parts: int) -> Decimal:
    """One of `parts` equal parts, rounded down: parts × share ≤ total.  Raises ValueError for no parts, or below 0."""
    if parts < 1 or total < 0:
        raise ValueError(f"{total} can't be divided into {parts} parts: 0 or more, into 1 or more")
    return _EXACT.quantize(_EXACT.divide(total, Decimal(parts)), _UNIT)


def gross_share(
    limit: Decimal | None, books: Iterable[tuple[str, str]], partitions: Mapping[str, int]
) -> Decimal | None:
    """Of max_gross_notional for each symbol partition that serves a book; None: there is no limit.

    `books`: all (exchange, symbol) that are served, by whichever worker; `partitions`: symbol → partition."""
    used = {partitions[symbol] for _, symbol in books}
    return None if limit is None or not used else shares(limit, len(used))


def purses(
    balances: Mapping[str, Mapping[str, Decimal]], currencies: Mapping[tuple[str, str], Iterable[str]]
) -> dict[tuple[str, str], dict[str, Decimal]]:
    """(exchange, symbol) → currency → its book's part of the exchange's balance.

    `balances`: exchange → currency → balance; `currencies`: each served book → those that it trades.  A balance is
    divided evenly over the books of its exchange that use it; one that isn't given is 0."""
    users = Counter((exchange, one) for (exchange, _), used in currencies.items() for one in set(used))
    return {
        book: {
            one: shares(balances.get(book[0], {}).get(one, Decimal(0)), users[book[0], one])
            for one in set(used)
        }
        for book, used in currencies.items()
    }
