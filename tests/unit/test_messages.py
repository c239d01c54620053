"""Records of other versions: what is added is ignored, what has changed is refused."""

from __future__ import annotations

import msgspec
import pytest

from tradeflow.messages import (
    SCHEMA_VERSION,
    Clock,
    MarketEvent,
    Raw,
    RawDown,
    RawHeartbeat,
    Record,
    Terms,
)

PLACE = {"exchange": "binance", "symbol": "BTC-USDT", "epoch": 7, "sequence": 3, "receipt_time": 1}
HEARTBEAT = RawHeartbeat(**PLACE)


def every(record: type) -> list[type]:
    return [found for below in record.__subclasses__() for found in (below, *every(below))]


def test_a_later_version_may_add_fields() -> None:
    class Later(RawHeartbeat, frozen=True, kw_only=True, tag="heartbeat"):
        region: str = "fra"

    value = msgspec.json.encode(Later(**PLACE))
    assert b'"region":"fra"' in value
    assert msgspec.json.decode(value, type=Raw) == HEARTBEAT
    assert msgspec.json.decode(msgspec.json.encode(HEARTBEAT), type=Later) == Later(**PLACE)


@pytest.mark.parametrize("record", every(Record), ids=lambda record: record.__name__)
def test_every_record_bears_the_version_and_another_one_is_refused(record: type) -> None:
    fields = {field.name: field for field in msgspec.structs.fields(record)}
    assert fields["v"].default == SCHEMA_VERSION
    if record is not Terms:  # which tell workers of two versions of each other
        with pytest.raises(msgspec.ValidationError, match=r"enum value 2 - at `\$\.v`"):
            msgspec.json.decode(
                b'{"v":2,"type":"%s"}' % str(record.__struct_config__.tag).encode(), type=record
            )


@pytest.mark.parametrize("type_", [Raw, MarketEvent])
def test_a_union_refuses_it_too(type_: object) -> None:
    record = RawDown(**PLACE, reason="") if type_ is Raw else Clock(receipt_time=1)
    value = msgspec.json.encode(record).replace(b'"v":1', b'"v":2')
    with pytest.raises(msgspec.ValidationError, match=r"enum value 2"):
        msgspec.json.decode(value, type=type_)
