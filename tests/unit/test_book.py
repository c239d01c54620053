"""The book against a plain model: two dicts of Decimal, sorted at every question."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tables.book import Book, decimal_text

EXACT = Context(prec=200)


class Model:
    """What a book is, with no thought of speed."""

    def __init__(self) -> None:
        self.sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})

    def replace(self, *sides):
        self.sides = ({}, {})
        self.update(*sides)

    def update(self, *sides):
        for levels, changes in zip(self.sides, sides, strict=True):
            for price, size in changes:
                if Decimal(size) == 0:
                    levels.pop(Decimal(price), None)
                else:
                    levels[Decimal(price)] = Decimal(size)

    def cut(self, depth):
        for levels, best_first in zip(self.sides, self.sorted(), strict=True):
            for price, _ in best_first[depth:]:
                del levels[price]

    def sorted(self):
        bids, asks = self.sides
        return sorted(bids.items(), reverse=True), sorted(asks.items())


def text(value: Decimal) -> str:
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def prices(digits: int, places: int):
    return st.builds(
        lambda n, scale: text(Decimal(n).scaleb(-scale, context=EXACT)),
        st.integers(1, 10**digits),
        st.integers(0, places),
    )


sizes = st.one_of(st.sampled_from(["0", "0.0", "0.000"]), prices(12, 8))
near = st.lists(st.tuples(prices(2, 1), sizes), max_size=6)
far = st.lists(st.tuples(prices(30, 30), sizes), max_size=6)
levels = st.one_of(near, near, far)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("replace"), levels, levels),
        st.tuples(st.just("update"), levels, levels),
        st.tuples(st.just("update"), levels, levels),
        st.tuples(st.just("cut"), st.integers(0, 8)),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_book_is_the_model(history):
    book, model = Book(), Model()
    for name, *arguments in history:
        before = best_prices(model)
        moved = getattr(book, name)(*arguments)
        getattr(model, name)(*arguments)
        agree(book, model)
        if name != "replace":
            assert moved == (best_prices(model) != before)


def best_prices(model: Model) -> list[Decimal | None]:
    return [side[0][0] if side else None for side in model.sorted()]


def agree(book: Book, model: Model) -> None:
    bids, asks = model.sorted()
    for n in (1, 3, 1000):
        got = [[(Decimal(p), Decimal(s)) for p, s in side] for side in book.top(n)]
        assert got == [bids[:n], asks[:n]]
    assert book.depth == (len(bids), len(asks))
    assert book.best_bid == (book.top(1)[0][0] if bids else None)
    assert book.best_ask == (book.top(1)[1][0] if asks else None)
    assert book.crossed == bool(bids and asks and bids[0][0] >= asks[0][0])
    if bids and asks:
        with localcontext(EXACT):
            mid, spread = (bids[0][0] + asks[0][0]) / 2, asks[0][0] - bids[0][0]
            percent = (100 * spread / mid).quantize(Decimal("1e-6"), rounding=ROUND_HALF_EVEN)
        got = book.mid_and_spread()
        assert got is not None
        assert [Decimal(value) for value in got] == [mid, spread, percent]
        assert all(value == text(Decimal(value)) for value in got)
    else:
        assert book.mid_and_spread() is None
    for ladder in (book.bids, book.asks):
        assert len(ladder.keys) == len(ladder.prices) == len(ladder.sizes)


def test_a_level_is_kept_as_the_string_that_came():
    book = Book([("100.5", "1.250")], [("101", "3")])
    assert book.best_bid == ("100.5", "1.250")
    book.update([("100.5", "0.7500")], [])
    assert book.best_bid == ("100.5", "0.7500")


def test_thirty_digit_prices_stay_apart():
    low, high = "123456789012345.123456789012345", "123456789012345.123456789012346"
    book = Book([(low, "1"), (high, "2")], [])
    assert book.top(5)[0] == [(high, "2"), (low, "1")]
    book.update([(high, "0")], [])
    assert book.best_bid == (low, "1")


def test_keys_outgrow_64_bits_in_mid_life():
    book = Book([("1", "1"), ("3", "1")], [])
    book.update([("2.0000000000000000001", "5")], [])
    assert [price for price, _ in book.top(3)[0]] == ["3", "2.0000000000000000001", "1"]
    book.update([("99999999999999999999", "6"), ("3", "0")], [])
    assert [price for price, _ in book.top(3)[0]] == ["99999999999999999999", "2.0000000000000000001", "1"]


def test_scales_of_the_sides_may_differ():
    book = Book([("100.25", "1")], [("100.3", "1")])
    assert book.mid_and_spread() == ("100.275", "0.05", "0.049863")
    book.update([], [("100.25", "1")])
    assert book.crossed


def test_half_a_unit_rounds_to_even():
    # spread_pct = 200 × (a - b) / (a + b): 2 / 1.6e6 = 1.25e-6 → 1e-6, and 6 / 1.6e6 = 3.75e-6 → 4e-6.
    assert Book([("799999.995", "1")], [("800000.005", "1")]).mid_and_spread() == (
        "800000",
        "0.01",
        "0.000001",
    )
    # Exact ties: 0.0000005 → 0, 0.0000015 → 0.000002.
    assert Book([("199999999.5", "1")], [("200000000.5", "1")]).mid_and_spread()[2] == "0"
    assert Book([("199999998.5", "1")], [("200000001.5", "1")]).mid_and_spread()[2] == "0.000002"


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [
        (0, 0, "0"),
        (0, 8, "0"),
        (1, 8, "0.00000001"),
        (-15, 1, "-1.5"),
        (1200, 2, "12"),
        (7, 0, "7"),
        (-5, 3, "-0.005"),
    ],
)
def test_decimal_text(value, scale, expected):
    assert decimal_text(value, scale) == expected
