"""Ways to spoil a frame: each takes a valid one and a Random, and gives back something else."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from typing import Any

Frame = str | bytes
Place = tuple[list[Any], int]
"""A list and an index: where a value of a frame can be replaced."""


class Token(str):
    """A number of a frame, by the text that it was."""


class Object(list):  # type: ignore[type-arg]
    """A JSON object as [key, value] pairs, so that a key may be there twice."""


def parse(text: str) -> Any:
    return json.loads(
        text,
        parse_float=Token,
        parse_int=Token,
        parse_constant=Token,
        object_pairs_hook=lambda pairs: Object([key, value] for key, value in pairs),
    )


def dump(value: Any) -> str:
    if isinstance(value, Token):
        return str(value)  # of no other type than a frame has, should it be all there is
    if isinstance(value, Object):
        return "{" + ",".join(f"{json.dumps(key)}:{dump(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def places(value: Any) -> list[Place]:
    """Every place in it, from the outside in."""
    found: list[Place] = []
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, Object):
            found += [(pair, 1) for pair in inner]
            waiting += [pair[1] for pair in inner]
        elif isinstance(inner, list):
            found += [(inner, index) for index in range(len(inner))]
            waiting += inner
    return found


_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?").fullmatch


def _is_number(place: Place) -> bool:
    value = place[0][place[1]]
    return isinstance(value, str) and bool(_NUMERIC(value))


def _tree(
    change: Callable[[random.Random, Place], None], where: Callable[[Place], bool] = lambda _: True
) -> Callable[[random.Random, str], Frame]:
    """The mutation that makes `change` at one of the places that are of use for it."""

    def mutate(draw: random.Random, frame: str) -> Frame:
        root = [parse(frame)]
        found = [place for place in places(root) if where(place)]
        if found:
            change(draw, draw.choice(found))
        return dump(root[0])

    return mutate


def _put(place: Place, value: Any) -> None:
    place[0][place[1]] = value


def _like(place: Place, text: str) -> Any:
    """A number in the form of the one that is there: bare, or in quotes."""
    return Token(text) if isinstance(place[0][place[1]], Token) else text


def _wrong_type(draw: random.Random, place: Place) -> None:
    values = (None, True, False, [], Object(), "", Token("0"), Token("-1"), Token("1.5"), "abc", "2021-01-01")
    _put(place, draw.choice([*values, [Token("1")], Object([["a", Token("1")]]), "2021-01-01T00:00:00Z"]))


def _not_finite(draw: random.Random, place: Place) -> None:
    text = draw.choice(["NaN", "Infinity", "-Infinity", "nan", "inf", "sNaN", "1e400", "-1e400"])
    _put(place, draw.choice([Token(text), text]))


def _negative(draw: random.Random, place: Place) -> None:
    _put(place, _like(place, "-" + place[0][place[1]].lstrip("-")))


def _long(draw: random.Random, place: Place) -> None:
    count = draw.choice([16, 30, 30, 64, 65, 400, 5_000])
    digits = "".join(draw.choices("0123456789", k=count))
    number = draw.choice(["1" + digits, f"0.{digits}", f"{1 + draw.randrange(9)}{digits}.{digits}"])
    _put(place, _like(place, number))


def _exponent(draw: random.Random, place: Place) -> None:
    power = draw.choice(["e0", "E2", "e-2", "e+5", "e63", "e70", "e-70", "e999999999", "e-999999999"])
    _put(place, _like(place, draw.choice([place[0][place[1]], "1", "0"]) + power))


def _spelling(draw: random.Random, place: Place) -> None:
    number = place[0][place[1]]
    spellings = (
        f" {number}",
        f"+{number}",
        f"0x{number}",
        f"{number}_0",
        f"{number}.",
        f".{number}",
        f"00{number}",
    )
    _put(
        place,
        draw.choice(
            [*spellings, f"{number}\n", number.translate(_FULL_WIDTH), f"{number},5", "-0", "0", "1"]
        ),
    )


_FULL_WIDTH = {ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)}


def _requote(draw: random.Random, place: Place) -> None:
    value = place[0][place[1]]
    _put(place, str(value) if isinstance(value, Token) else Token(value))


def _is_key(place: Place) -> bool:
    return place[1] == 1


def _is_in_object(place: Place) -> bool:
    return isinstance(place[0][place[1]], Object) and bool(place[0][place[1]])


def _drop_key(draw: random.Random, place: Place) -> None:
    pairs = place[0][place[1]]
    pairs.pop(draw.randrange(len(pairs)))


def _repeat_key(draw: random.Random, place: Place) -> None:
    pairs = place[0][place[1]]
    key, value = draw.choice(pairs)
    pairs.insert(draw.randrange(len(pairs) + 1), [key, draw.choice([value, None, "0", Token("1"), []])])


def _rename_key(draw: random.Random, place: Place) -> None:
    pair = draw.choice(place[0][place[1]])
    pair[0] = draw.choice([pair[0].swapcase(), pair[0] + " ", "", "price", "size", "b", pair[0][:-1]])


def _is_list(place: Place) -> bool:
    return type(place[0][place[1]]) is list


def _empty(draw: random.Random, place: Place) -> None:
    place[0][place[1]].clear()


def _shorten(draw: random.Random, place: Place) -> None:
    items = place[0][place[1]]
    if items:
        items.pop(draw.randrange(len(items)))


def _repeat_item(draw: random.Random, place: Place) -> None:
    items = place[0][place[1]]
    items.insert(draw.randrange(len(items) + 1), draw.choice(items) if items else Token("1"))


def _nest(draw: random.Random, place: Place) -> None:
    depth = draw.choice([1, 2, 50, 2_000, 20_000, 200_000])
    left, right = draw.choice([("[", "]"), ('{"a":', "}")])
    _put(place, Token(left * depth + dump(place[0][place[1]]) + right * depth))


def _text(draw: random.Random, place: Place) -> None:
    value = place[0][place[1]]
    _put(
        place,
        draw.choice([value.swapcase(), value + "\x00", "\N{PILE OF POO}", value[::-1], value + " ", "é" * 9]),
    )


def _surrogate(draw: random.Random, frame: str) -> Frame:
    return re.sub(r'":"', r'":"\\ud800', frame, count=1)


def _swap(draw: random.Random, frame: str) -> Frame:
    """Two values in each other's place."""
    root = [parse(frame)]
    one, other = draw.choice(places(root)[1:]), draw.choice(places(root)[1:])
    first, second = one[0][one[1]], other[0][other[1]]
    if not isinstance(first, list) and not isinstance(second, list):
        _put(one, second)
        _put(other, first)
    return dump(root[0])


def _truncate(draw: random.Random, frame: str) -> Frame:
    return frame[: draw.randrange(len(frame))]


def _cut_out(draw: random.Random, frame: str) -> Frame:
    start = draw.randrange(len(frame))
    return frame[:start] + frame[start + draw.choice([1, 1, 2, 10, 50]) :]


def _flip(draw: random.Random, frame: str) -> Frame:
    at = draw.randrange(len(frame))
    return frame[:at] + chr(draw.choice([*range(32, 127), 0, 9, 10, 0x80, 0x2028, 0xFFFD])) + frame[at + 1 :]


def _repeat_span(draw: random.Random, frame: str) -> Frame:
    start, end = sorted(draw.randrange(len(frame)) for _ in range(2))
    return frame[:end] + frame[start:]


def _twice(draw: random.Random, frame: str) -> Frame:
    return frame + draw.choice(["", "\n", ","]) + frame


def _nothing(draw: random.Random, frame: str) -> Frame:
    return draw.choice(["", " ", "null", "0", "[]", "{}", '""', "true", "[" * draw.choice([9, 200_000])])


def _noise(draw: random.Random, frame: str) -> Frame:
    return draw.randbytes(draw.randrange(200))


def _bad_utf8(draw: random.Random, frame: str) -> Frame:
    """As a binary frame; of a text frame the WebSocket library takes care."""
    data = bytearray(frame.encode())
    at = draw.randrange(len(data))
    data[at : at + 1] = draw.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5", b"\x80"])
    return bytes(data)


def _binary(draw: random.Random, frame: str) -> Frame:
    return frame.encode()


def _huge(draw: random.Random, frame: str) -> Frame:
    """Five million characters, of digits, of a string, of white space or of one element."""
    root = [parse(frame)]
    place = draw.choice(places(root))
    fill = draw.choice(["digits", "text", "space", "elements"])
    if fill == "space":
        return frame + " " * 5_000_000
    if fill == "elements":
        lists = [place[0][place[1]] for place in places(root) if _is_list(place) and place[0][place[1]]]
        items = draw.choice(lists) if lists else root
        element = dump(items[-1])
        items.append(Token(",".join([element] * (5_000_000 // (len(element) + 1)))))
        return dump(root[0])
    _put(place, Token("1" * 5_000_000) if fill == "digits" else "x" * 5_000_000)
    return dump(root[0])


MUTATIONS: dict[str, Callable[[random.Random, str], Frame]] = {
    "wrong type": _tree(_wrong_type),
    "NaN, infinity": _tree(_not_finite, _is_number),
    "negative": _tree(_negative, _is_number),
    "long number": _tree(_long, _is_number),
    "exponent": _tree(_exponent, _is_number),
    "odd spelling": _tree(_spelling, _is_number),
    "number as string": _tree(_requote, _is_number),
    "missing key": _tree(_drop_key, _is_in_object),
    "key twice": _tree(_repeat_key, _is_in_object),
    "other key": _tree(_rename_key, _is_in_object),
    "empty array": _tree(_empty, _is_list),
    "missing element": _tree(_shorten, _is_list),
    "element twice": _tree(_repeat_item, _is_list),
    "deep nesting": _tree(_nest),
    "other text": _tree(_text, lambda place: type(place[0][place[1]]) is str),
    "lone surrogate": _surrogate,
    "values swapped": _swap,
    "truncated": _truncate,
    "hole": _cut_out,
    "character": _flip,
    "span twice": _repeat_span,
    "frame twice": _twice,
    "no frame": _nothing,
    "noise": _noise,
    "invalid UTF-8": _bad_utf8,
    "binary": _binary,
    "5 MB": _huge,
}
