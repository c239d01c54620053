"""`Strategy`: typed parameters, handlers that yield actions, timers in event time, a checkpointed state.

    class Maker(Strategy):
        exchange: str = "binance"
        size: Decimal = Decimal("0.01")

        class State(Struct):
            quoted: bool = False

        def on_book(self, book, ctx):
            if book.exchange == self.exchange and not ctx.state.quoted:
                ctx.state.quoted = True
                yield buy(book, book.bid.price, self.size, post_only=True)

Handlers read what they are given, change `ctx.state`, yield actions, and touch nothing else (no clock, no
random numbers, no files, no globals): then a replay of the same events sends the same orders.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform, get_args

import msgspec

from tradeflow.strategies.actions import Action
from tradeflow.strategies.order_views import ExecutionView
from tradeflow.strategies.views import BookView, Context, TradeView
from tradeflow.symbols import SymbolError, canonical_symbol

Actions = Iterable[Action] | None
Handler = TypeVar("Handler", bound=Callable[..., Any])

_TIMER = "_timer_interval"


class StrategyError(ValueError):
    """A strategy that can't be used as it is; the message says what to change."""


class Timer(NamedTuple):
    name: str
    interval: int
    """Nanoseconds of event time."""


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class _StrategyMeta(msgspec.StructMeta):
    """Tells type checkers that subclasses are frozen without saying so."""


class Strategy(msgspec.Struct, frozen=True, metaclass=_StrategyMeta):
    """Base of all strategies.  Annotated attributes are its parameters: checked, and frozen, when it is made.

    Each symbol that is served is a run of its own, with its own State; a strategy that raises is halted for
    that symbol alone.  With `symbols` set it is one run that sees all of those (on one partition)."""

    symbols: tuple[str, ...] = ()
    """Empty: every served symbol, each by itself."""

    name: ClassVar[str] = ""
    """What its orders say who sent them; default: the class's name in lower case."""

    shadow: ClassVar[bool] = False
    """Its orders are recorded and never executed; it hears nothing of them."""

    cancel_on_loss: ClassVar[bool] = True
    """Its open orders on a book that is no longer live are canceled."""

    class State(msgspec.Struct):
        """What it remembers; JSON-able fields, each with a default."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = cls.__name__.lower()

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            try:
                if _is_exact(field.type) and _holds_float(value):
                    raise msgspec.ValidationError("a float can't hold an exact number: pass Decimal or str")
                checked = msgspec.convert(value, field.type)
            except msgspec.ValidationError as error:
                raise StrategyError(f"{type(self).__name__}({field.name}={value!r}): {error}") from None
            msgspec.structs.force_setattr(self, field.name, checked)
        try:
            symbols = tuple(canonical_symbol(symbol) for symbol in self.symbols)
        except SymbolError as error:
            raise StrategyError(f"{type(self).__name__}(symbols={self.symbols!r}): {error}") from None
        msgspec.structs.force_setattr(self, "symbols", symbols)

    def on_book(self, book: BookView, ctx: Context) -> Actions:
        """After each snapshot or delta that leaves the book live."""
        return None

    def on_trade(self, trade: TradeView, ctx: Context) -> Actions:
        """After each trade, once, in the order of the log."""
        return None

    def on_execution(self, execution: ExecutionView, ctx: Context) -> Actions:
        """After each verdict or report on an order of its own, once, in the order of the log."""
        return None

    @property
    def params_hash(self) -> str:
        """Short hash of the class's name and all parameters; part of every order's id."""
        values = {field.name: getattr(self, field.name) for field in msgspec.structs.fields(self)}
        text = msgspec.json.encode([type(self).__name__, values], order="deterministic")
        return hashlib.blake2b(text, digest_size=6).hexdigest()

    @property
    def code_hash(self) -> str:
        """Hash of the class's source: a halted strategy runs again once its code has changed."""
        try:
            source = inspect.getsource(type(self))
        except (OSError, TypeError):
            return ""
        return hashlib.blake2b(source.encode(), digest_size=6).hexdigest()

    def timers(self) -> list[Timer]:
        """Its @timer methods, by name."""
        found = []
        for name in dir(type(self)):
            interval = getattr(getattr(type(self), name), _TIMER, None)
            if interval is not None:
                found.append(Timer(name, interval))
        return found

    def handles(self, handler: str) -> bool:
        """True if it defines `on_book`, `on_trade` or `on_execution` itself."""
        return getattr(type(self), handler) is not getattr(Strategy, handler)


def timer(*, seconds: float) -> Callable[[Handler], Handler]:
    """Decorator: call the method `(self, ctx)` whenever event time passes a multiple of `seconds`.

    Event time moves with the log's receipt times and with four clock records a second.  Where it jumps over
    several multiples the method is called once, for the last; `ctx.now` is that multiple.  It sees the books
    as they were just before.  Raises StrategyError for less than a millisecond."""
    interval = round(seconds * 1_000_000_000)
    if interval < 1_000_000:
        raise StrategyError(f"timer(seconds={seconds}): must be 0.001 or more")

    def decorate(method: Handler) -> Handler:
        setattr(method, _TIMER, interval)
        return method

    return decorate


def _holds_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_float, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_holds_float, value))
    return isinstance(value, float)


def _is_exact(type_: Any) -> bool:
    return type_ is Decimal or any(_is_exact(argument) for argument in get_args(type_))
