"""Market: what an event does, what is published of it, and when."""

from __future__ import annotations

import itertools
from decimal import Decimal

import msgspec
import pytest

from tradeflow.market import Market
from tradeflow.messages import (
    Clock,
    Delta,
    Down,
    Heartbeat,
    NormalizedBook,
    Order,
    ResyncRequest,
    Snapshot,
    TopOfBook,
    Trade,
)
from tradeflow.strategies import Strategy, StrategyError, buy, sell, timer

SECOND = 1_000_000_000
T = 1_700_000_000 * SECOND
BOOKS = [("kraken", "BTC-USDT"), ("binance", "BTC-USDT")]


def place(sequence, time, exchange="binance", epoch=1, symbol="BTC-USDT"):
    return {
        "exchange": exchange,
        "symbol": symbol,
        "epoch": epoch,
        "sequence": sequence,
        "receipt_time": T + time,
    }


def snapshot(sequence=0, time=0, bids=(("100", "1"),), asks=(("101", "2"),), **where):
    fields = {"exchange_time": T - 5, "exchange_sequence": 900 + sequence}
    return Snapshot(**place(sequence, time, **where), bids=list(bids), asks=list(asks), **fields)


def delta(sequence, time=0, bids=(), asks=(), **where):
    return Delta(**place(sequence, time, **where), bids=list(bids), asks=list(asks))


def trade(sequence, time=0, trade_id=None, **where):
    return Trade(**place(sequence, time, **where), side="sell", price="100", size="0.5", trade_id=trade_id)


class Log:
    """Applies events to a market, numbering them."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.offset = 0
        self.stored: dict[tuple[str, str], bytes] = {}

    def checkpoint(self):
        self.stored.update(self.market.take_dirty())

    def __call__(self, *events):
        """What was said: topic → values, in order."""
        said: dict[str, list] = {}
        for event in events:
            self.market.apply(event, self.offset)
            self.offset += 1
        types = {
            "top-of-book": TopOfBook,
            "normalized-books": NormalizedBook,
            "trades": Trade,
            "orders": Order,
        }
        for output in self.market.take_outputs():
            value = msgspec.json.decode(output.value, type=types[output.topic])
            assert output.key == value.symbol.encode()
            said.setdefault(output.topic, []).append(value)
        return said


@pytest.fixture
def log():
    return Log(Market(0, BOOKS, normalized_per_second=10, depth=2))


def restarted(log: Log, *strategies: Strategy) -> Log:
    log.checkpoint()
    again = Market(0, BOOKS, strategies, normalized_per_second=10, depth=2)
    again.restore(lambda table, key: log.stored.get((table, key)))
    return Log(again)


# --- top of book ---


def test_the_top_after_a_snapshot(log):
    assert log(snapshot())["top-of-book"] == [
        TopOfBook(
            exchange="binance",
            symbol="BTC-USDT",
            state="live",
            reason="",
            epoch=1,
            sequence=0,
            exchange_sequence=900,
            exchange_time=T - 5,
            event_time=T,
            bid=("100", "1"),
            ask=("101", "2"),
            mid="100.5",
            spread="1",
            spread_pct="0.995025",
        )
    ]


def test_the_top_is_published_when_it_changes(log):
    log(snapshot(bids=[("100", "1"), ("99", "1")]))
    assert "top-of-book" not in log(delta(1, bids=[("99", "3")])), "a level below the top"
    (top,) = log(delta(2, bids=[("100", "1.5")]))["top-of-book"]
    assert (top.bid, top.mid, top.sequence) == (("100", "1.5"), "100.5", 2)
    (top,) = log(delta(3, bids=[("100", "0")]))["top-of-book"]
    assert (top.bid, top.mid, top.spread) == (("99", "1"), "100", "2") or top.bid == ("99", "3")
    assert (top.mid, top.spread, top.spread_pct) == ("100", "2", "2")
    assert "top-of-book" not in log(delta(4, bids=[("99", "3")])), "the same again"


def test_the_top_is_published_when_the_state_changes(log):
    log(snapshot())
    (top,) = log(delta(5))["top-of-book"]
    assert (top.state, top.reason, top.bid) == ("broken", "gap: have 0, got 5 of epoch 1", ("100", "1"))
    assert not log(delta(6)), "nothing new to say"
    (top,) = log(snapshot(7))["top-of-book"]
    assert (top.state, top.sequence) == ("live", 7)


def test_another_reason_is_published_too(log):
    log(snapshot(asks=[]))
    (top,) = log(snapshot(1, bids=[("100", "1"), ("99", "1")], asks=[]))["top-of-book"]
    assert top.reason == "empty side: 2 bids, 0 asks"


def test_an_empty_or_crossed_book_has_no_made_up_numbers(log):
    (top,) = log(snapshot(bids=[]))["top-of-book"]
    assert (top.state, top.bid, top.ask, top.mid, top.spread) == ("broken", None, ("101", "2"), None, None)
    (top,) = log(snapshot(1, bids=[("102", "1")]))["top-of-book"]
    assert (top.state, top.reason) == ("broken", "crossed: bid 102 is not below ask 101")
    assert (top.bid, top.ask) == (("102", "1"), ("101", "2"))
    assert (top.mid, top.spread, top.spread_pct) == (None, None, None)


def test_every_book_is_published_again_for_new_readers(log):
    log(snapshot())
    log(Clock(receipt_time=T + 1))
    assert not log(Clock(receipt_time=T + 4 * SECOND), Heartbeat(**place(0, 4 * SECOND)))
    said = log(Clock(receipt_time=T + 6 * SECOND))
    assert [(top.exchange, top.state) for top in said["top-of-book"]] == [
        ("binance", "live"),
        ("kraken", "syncing"),
    ]
    assert not log(Clock(receipt_time=T + 7 * SECOND))


# --- normalized books ---


def test_levels_are_cut_at_the_depth(log):
    (book,) = log(snapshot(bids=[("98", "1"), ("100", "1"), ("99", "1")]))["normalized-books"]
    assert (book.bids, book.asks, book.state) == ([("100", "1"), ("99", "1")], [("101", "2")], "live")
    assert (book.epoch, book.sequence, book.exchange_sequence, book.event_time) == (1, 0, 900, T)


def test_at_most_ten_a_second_and_the_last_is_not_forgotten(log):
    books = log(snapshot())["normalized-books"]
    for number in range(1, 300):
        said = log(delta(number, number * SECOND // 100, bids=[("99", str(number))]))
        books += said.get("normalized-books", [])
    times = [book.event_time for book in books]
    assert len(times) == 30
    assert all(later - sooner >= SECOND // 10 for sooner, later in itertools.pairwise(times))
    (book,) = log(Clock(receipt_time=T + 3 * SECOND))["normalized-books"]
    assert (book.sequence, book.bids[1]) == (299, ("99", "299"))
    assert not log(Clock(receipt_time=T + 4 * SECOND)), "nothing has changed since"


def test_a_change_of_state_does_not_wait(log):
    log(snapshot())
    (book,) = log(delta(3, 1000))["normalized-books"]
    assert book.state == "broken"


# --- event time, silence ---


def test_event_time_is_the_largest_receipt_time(log):
    log(snapshot(time=5), Heartbeat(**place(0, 3)))
    assert log.market.event_time == T + 5
    log(Clock(receipt_time=T + 9), trade(0, 7))
    assert log.market.event_time == T + 9


def test_a_silent_book_is_stale_and_says_so(log):
    log(snapshot(), snapshot(exchange="kraken", time=3 * SECOND))
    said = log(Clock(receipt_time=T + 5 * SECOND + 1))
    (top,) = [top for top in said["top-of-book"] if top.state == "stale"]
    assert (top.exchange, top.reason, top.bid) == ("binance", "silent for more than 5 s", ("100", "1"))
    (top,) = log(Heartbeat(**place(0, 5 * SECOND + 9)))["top-of-book"]
    assert (top.state, top.reason) == ("live", "")


def test_down_is_published(log):
    log(snapshot())
    (top,) = log(Down(**place(0, 5), reason="reset by peer"))["top-of-book"]
    assert (top.state, top.reason) == ("stale", "down: reset by peer")


@pytest.mark.parametrize("level", [("1e5", "1"), ("9" * 5000, "1"), ("1.x", "1")])
@pytest.mark.parametrize("kind", [snapshot, delta])
def test_a_record_that_can_not_be_applied_spoils_its_book_only(log, kind, level):
    log(snapshot(), snapshot(exchange="kraken"))
    (top,) = log(kind(1, bids=[("100.5", "1"), level]))["top-of-book"]
    assert (top.exchange, top.state, top.bid, top.ask) == ("binance", "broken", None, None)
    assert top.reason.startswith("unusable record 1 of epoch 1: ")
    assert len(log.market.take_resyncs()) == 1
    assert restarted(log).market.books["binance", "BTC-USDT"].reason == top.reason
    (top,) = log(snapshot(2))["top-of-book"]
    assert (top.state, top.bid) == ("live", ("100", "1"))


# --- resync requests ---


def test_a_broken_book_asks_for_a_resync_now_and_then(log):
    log(snapshot(), delta(2, time=1))
    assert log.market.take_resyncs() == [
        ResyncRequest(
            feed=-1,
            exchange="binance",
            symbol="BTC-USDT",
            epoch=1,
            reason="gap: have 0, got 2 of epoch 1",
            time=T + 1,
        )
    ]
    log(delta(3, time=2), Clock(receipt_time=T + 4 * SECOND), snapshot(4, bids=[], time=4 * SECOND))
    assert not log.market.take_resyncs(), "the last request is only four seconds old"
    log(Clock(receipt_time=T + 6 * SECOND))
    assert [request.reason for request in log.market.take_resyncs()] == ["empty side: 0 bids, 1 asks"]
    log(Clock(receipt_time=T + 7 * SECOND))
    assert not log.market.take_resyncs()
    log(snapshot(5, time=7 * SECOND), Clock(receipt_time=T + 20 * SECOND))
    assert not log.market.take_resyncs()


def test_a_restart_does_not_ask_again_at_once(log):
    log(snapshot(), delta(2, time=1), Clock(receipt_time=T + 6 * SECOND))
    log.checkpoint()
    log(Clock(receipt_time=T + 12 * SECOND))
    assert len(log.market.take_resyncs()) == 3
    log = restarted(log)
    log(Clock(receipt_time=T + 13 * SECOND))
    assert not log.market.take_resyncs()


# --- trades ---


def test_a_trade_is_published_once(log):
    (said,) = log(trade(0, trade_id="a"))["trades"]
    assert said == trade(0, trade_id="a")
    assert not log(trade(0, trade_id="a")), "written again"
    assert not log(trade(1, trade_id="a")), "sent again by the exchange"
    assert not log(trade(0, epoch=2, trade_id="a")), "sent again on a reconnect"
    assert log(trade(1, epoch=2, trade_id="b"))
    assert not log(trade(9, epoch=1, trade_id="c")), "of an epoch that is over"
    assert log(trade(0, exchange="kraken", trade_id="a")), "ids belong to an exchange"
    assert len(log(trade(2, epoch=2), trade(3, epoch=2))["trades"]) == 2, "without ids the numbers count"
    assert log.market.counts["duplicates"] == 4


def test_known_trades_outlive_a_restart(log):
    log(trade(0, trade_id="a"), trade(1, trade_id="b"))
    log = restarted(log)
    assert not log(trade(1, trade_id="x")), "its number is known"
    assert not log(trade(2, trade_id="a")), "its id is known"
    assert log(trade(3, trade_id="c"))


def test_known_ids_are_bounded(log):
    for number in range(1500):
        assert log(trade(number, trade_id=str(number)))
    assert not log(trade(1500, trade_id="1499"))
    assert not log(trade(1501, trade_id="500"))
    assert log(trade(1502, trade_id="499")), "forgotten"
    stored = log.market.take_dirty()["strategy_states", "trades/binance/BTC-USDT"]
    assert len(stored) < 10_000


# --- what is not served, and counts ---


def test_other_books_are_ignored(log):
    assert not log(snapshot(symbol="DOGE-EUR"), trade(0, exchange="okx"), delta(1, symbol="DOGE-EUR"))
    assert log.market.counts["ignored"] == 3
    assert set(log.market.books) == set(BOOKS)


def test_counts(log):
    log(snapshot(), delta(1), delta(1), delta(4), trade(0), snapshot(exchange="kraken"))
    counts = log.market.counts
    assert counts["snapshots"] == {"binance": 1, "kraken": 1}
    assert counts["deltas"] == {"binance": 1, "kraken": 0}
    assert counts["trades"] == {"binance": 1, "kraken": 0}
    assert (counts["duplicates"], counts["gaps"], counts["ignored"], counts["halted"]) == (1, 1, 0, [])
    assert msgspec.json.decode(msgspec.json.encode(counts))["gaps"] == 1


def test_a_book_knows_where_it_came_from(log):
    log(trade(0), snapshot(), delta(1), delta(1), Heartbeat(**place(1, 9)))
    assert log.market.books["binance", "BTC-USDT"].offset == 2


# --- changes, for plain agents ---


def test_changes():
    log = Log(Market(0, BOOKS, want_changes=True))
    log(snapshot(bids=[(str(100 - n), "1") for n in range(30)]), delta(1, bids=[("85", "7")]), delta(1))
    first, second = log.market.take_changes()
    assert (first.exchange, first.symbol, first.state, first.bid, first.ask) == (
        "binance",
        "BTC-USDT",
        "live",
        ("100", "1"),
        ("101", "2"),
    )
    assert (len(first.bids), first.missed, first.event_time) == (20, 0, T)
    assert (second.sequence, second.bids[15]) == (1, ("85", "7"))
    assert not log.market.take_changes()


def test_no_changes_unless_wanted(log):
    log(snapshot())
    assert not log.market.take_changes()


# --- checkpoints ---


def test_only_what_has_changed_is_written(log):
    log(snapshot(), snapshot(exchange="kraken"), trade(0))
    books = {("order_books", f"{exchange}/BTC-USDT") for exchange, _ in BOOKS}
    market = ("strategy_states", "market")
    assert set(log.market.take_dirty()) == books | {market, ("strategy_states", "trades/binance/BTC-USDT")}
    log(delta(1, exchange="kraken"))
    assert set(log.market.take_dirty()) == {market, ("order_books", "kraken/BTC-USDT")}
    assert set(log.market.take_dirty()) == {market}


def test_a_restored_book_goes_on(log):
    log(snapshot(), delta(1, bids=[("100.5", "3")]))
    log = restarted(log)
    book = log.market.books["binance", "BTC-USDT"]
    assert (book.state, book.sequence, book.book.best_bid, log.market.event_time) == (
        "live",
        1,
        ("100.5", "3"),
        T,
    )
    assert "top-of-book" not in log(delta(2, bids=[("98", "1")])), "the top has not changed"


# --- strategies ---


class Quoter(Strategy):
    """Orders at each book, trade and second."""

    fail_at: Decimal = Decimal(0)

    class State(msgspec.Struct):
        books: int = 0

    def on_book(self, book, ctx):
        ctx.state.books += 1
        yield buy(book, book.bid.price, ctx.state.books, tag="a")
        if book.bid.price == self.fail_at:
            raise ZeroDivisionError("on purpose")
        yield sell(book, book.ask.price, "0.10", tif="IOC", tag="b")

    def on_trade(self, trade, ctx):
        return [buy(trade, None, trade.size, type="MARKET")]

    @timer(seconds=1)
    def every_second(self, ctx):
        yield sell(ctx.books["binance"], "200", 1)


def test_orders_say_what_caused_them():
    log = Log(Market(0, BOOKS, [Quoter()]))
    first, second = log(snapshot())["orders"]
    assert (first.side, first.price, first.size, first.tag) == ("buy", "100", "1", "a")
    assert (second.side, second.price, second.size, second.tif) == ("sell", "101", "0.1", "IOC")
    assert (first.strategy, first.params_hash, first.event_time) == ("quoter", Quoter().params_hash, T)
    cause = first.cause
    assert (cause.kind, cause.exchange, cause.epoch, cause.sequence) == ("book", "binance", 1, 0)
    (order,) = log(trade(4))["orders"]
    assert (order.type, order.price, order.size) == ("MARKET", None, "0.5")
    assert (order.cause.kind, order.cause.sequence) == ("trade", 4)
    (order,) = log(Clock(receipt_time=T + SECOND))["orders"]
    assert (order.cause.kind, order.cause.timer, order.cause.time) == ("timer", "every_second", T + SECOND)
    ids = {first.order_id, second.order_id, order.order_id}
    assert len(ids) == 3 and all(len(order_id) == 32 for order_id in ids)


def test_ids_come_from_the_cause_alone():
    one, two = Log(Market(0, BOOKS, [Quoter()])), Log(Market(3, BOOKS, [Quoter()], depth=5))
    two.offset = 1000
    two(Heartbeat(**place(-1, 0)))
    assert [o.order_id for o in one(snapshot())["orders"]] == [o.order_id for o in two(snapshot())["orders"]]
    other = Log(Market(0, BOOKS, [Quoter(fail_at="1")]))
    assert one(delta(1))["orders"][0].order_id != other(snapshot(), delta(1))["orders"][2].order_id


def test_a_strategy_sees_live_books_only():
    log = Log(Market(0, BOOKS, [Quoter()]))
    log(snapshot())
    assert "orders" not in log(delta(2)), "broken"
    assert "orders" in log(snapshot(3))
    assert "orders" not in log(snapshot(4, bids=[]))
    log(snapshot(5))
    assert log(Clock(receipt_time=T + 6 * SECOND))["top-of-book"][0].state == "stale"
    said = log(Heartbeat(**place(5, 6 * SECOND)))
    assert said["top-of-book"][0].state == "live"
    assert "orders" not in said, "its order would have the id of an earlier one"


def test_one_that_raises_is_halted_alone():
    symbols = [("binance", "BTC-USDT"), ("binance", "ETH-USDT")]
    log = Log(Market(0, symbols, [Quoter(fail_at="50"), Quoter()]))
    orders = log(snapshot(bids=[("50", "1")]))["orders"]
    assert [order.params_hash for order in orders] == [Quoter().params_hash] * 2, "none of a call that raises"
    (halted,) = log.market.counts["halted"]
    assert halted["strategy"] == "quoter" and halted["symbols"] == ("BTC-USDT",)
    assert halted["reason"].startswith("on_book raised ZeroDivisionError: on purpose at ")
    assert "test_market.py:" in halted["reason"]
    assert len(log(snapshot(1))["orders"]) == 2, "the other one only"
    assert len(log(snapshot(symbol="ETH-USDT"))["orders"]) == 4, "both, on another symbol"


def test_a_halt_outlives_a_restart_but_not_a_change_of_the_code():
    log = Log(Market(0, BOOKS, [Quoter(fail_at="100")]))
    log(snapshot())
    again = restarted(log)  # no strategies: nothing to halt
    assert not again.market.counts["halted"]
    stored = log.stored

    def restart(read):
        market = Market(0, BOOKS, [Quoter(fail_at="100")])
        market.restore(read)
        return market

    assert restart(lambda table, key: stored.get((table, key))).counts["halted"]
    key = next(key for table, key in stored if key.startswith("strategy/"))
    row = msgspec.json.decode(stored["strategy_states", key])
    stored["strategy_states", key] = msgspec.json.encode(row | {"code": "another"})
    market = restart(lambda table, key: stored.get((table, key)))
    assert not market.counts["halted"]
    assert market.runs[0].context.state.books == 1


def test_a_state_that_no_longer_fits_halts_and_is_kept():
    strategy = Quoter()
    key = ("strategy_states", f"strategy/quoter-{strategy.params_hash}/BTC-USDT")
    stored = {key: msgspec.json.encode({"state": {"books": "many"}, "halted": "", "code": ""})}
    market = Market(0, BOOKS, [strategy])
    market.restore(lambda table, key: stored.get((table, key)))
    (halted,) = market.counts["halted"]
    assert "the checkpointed State doesn't fit Quoter.State: Expected `int`, got `str`" in halted["reason"]
    market.runs[0].dirty = True
    assert market.take_dirty()[key] == stored[key], "for the code to be mended"


def test_a_state_that_can_not_be_written_halts():
    class Hoarder(Strategy):
        class State(msgspec.Struct):
            last: object = None

        def on_book(self, book, ctx):
            ctx.state.last = book

    log = Log(Market(0, BOOKS, [Hoarder()]))
    log(snapshot())
    log.market.take_dirty()
    (halted,) = log.market.counts["halted"]
    assert halted["reason"].startswith("State can't be written as JSON")


def test_yielding_something_else_halts():
    class Chatty(Strategy):
        def on_book(self, book, ctx):
            yield "buy!"

    log = Log(Market(0, BOOKS, [Chatty()]))
    assert "orders" not in log(snapshot())
    assert "'buy!' is not an action: yield buy(…) or sell(…)" in log.market.counts["halted"][0]["reason"]


class Pair(Strategy):
    symbols: tuple[str, ...] = ("BTC-USDT", "ETH-USDT")

    def on_book(self, book, ctx):
        other = ctx.books_of("ETH-USDT" if book.symbol == "BTC-USDT" else "BTC-USDT")
        if other["binance"].live:
            yield buy(other["binance"], other["binance"].bid.price, 1, tag=ctx.symbol)


def test_a_run_over_several_symbols():
    log = Log(
        Market(0, [("binance", "BTC-USDT"), ("binance", "ETH-USDT"), ("binance", "SOL-USDT")], [Pair()])
    )
    assert len(log.market.runs) == 1
    assert "orders" not in log(snapshot(), snapshot(symbol="SOL-USDT"))
    (order,) = log(snapshot(symbol="ETH-USDT", bids=[("7", "1")], asks=[("8", "1")]))["orders"]
    assert (order.symbol, order.price, order.tag) == ("BTC-USDT", "100", "ETH-USDT")
    assert not Market(1, [("binance", "SOL-USDT")], [Pair()]).runs, "its symbols are elsewhere"
    with pytest.raises(StrategyError, match="ETH-USDT is not served together with BTC-USDT"):
        Market(0, BOOKS, [Pair()])


# --- timers ---


def timer_times(log, *times):
    return [[o.cause.time - T for o in log(Clock(receipt_time=T + t)).get("orders", [])] for t in times]


def test_timers_fire_at_multiples_of_their_interval():
    log = Log(Market(0, BOOKS, [Quoter()]))
    assert timer_times(log, 0, SECOND - 1, SECOND, SECOND + 5, 2 * SECOND + 1) == [
        [],
        [],
        [SECOND],
        [],
        [2 * SECOND],
    ]
    assert timer_times(log, 9 * SECOND + 3) == [[9 * SECOND]], "once, for the last of those passed"


def test_a_timer_sees_the_market_up_to_the_event_that_moves_time():
    class Watcher(Strategy):
        @timer(seconds=1)
        def look(self, ctx):
            yield buy(ctx.books["binance"], ctx.books["binance"].bid.price, 1, tag=str(ctx.now - T))

    log = Log(Market(0, BOOKS, [Watcher()]))
    log(snapshot())
    (order,) = log(delta(1, time=SECOND + 7, bids=[("100.5", "1")]))["orders"]
    assert (order.price, order.tag, order.event_time) == ("100", str(SECOND), T + SECOND)


def test_timers_fire_in_order_of_time():
    class Several(Strategy):
        @timer(seconds=3)
        def a_slow(self, ctx):
            yield buy(ctx.books["binance"], 1, 1, tag="slow")

        @timer(seconds=2)
        def b_quick(self, ctx):
            yield buy(ctx.books["binance"], 1, 1, tag="quick")

    log = Log(Market(0, BOOKS, [Several()]))
    start = T // (6 * SECOND) * 6 * SECOND + 6 * SECOND
    log(Clock(receipt_time=start + 1))
    orders = log(Clock(receipt_time=start + 5 * SECOND))["orders"]
    assert [(order.tag, order.event_time - start) for order in orders] == [
        ("slow", 3 * SECOND),
        ("quick", 4 * SECOND),
    ]
    orders = log(Clock(receipt_time=start + 9 * SECOND))["orders"]
    assert [order.tag for order in orders] == ["quick", "slow"]


def test_timers_of_a_restart():
    log = Log(Market(0, BOOKS, [Quoter()]))
    timer_times(log, 0, SECOND + 5)
    log = restarted(log, Quoter())
    assert timer_times(log, SECOND + 6, 2 * SECOND) == [[], [2 * SECOND]]
