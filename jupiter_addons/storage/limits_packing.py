"""How counters, what is known of them, and holds are written down by stores that outlive their process.

What is read back was written here, but a disk may have changed it: whatever cannot be read is a StoreError.
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.counting import Hold
from jupiter_addons.limits.states import States
from jupiter_addons.limits.store import Bucket, Counter, Held, Period, Shape, Sliding, Slots, Take
from jupiter_addons.limits.tables import BucketTable, Level, Pairs, PeriodTable, SlidingTable, SlotsTable, Table

_PAIRS = tuple(struct.Struct(f"<{count}q") for count in range(32))
_LEVEL = struct.Struct("<16s2q")
_AMOUNT = struct.Struct("<q")


def _pack_pairs(state: Pairs) -> bytes:
    return _PAIRS[len(state)].pack(*state)


def _unpack_pairs(packed: bytes) -> Pairs:
    count, rest = divmod(len(packed), 8)
    if rest or count < 3 or not count % 2:
        raise StoreError("a window is not what was written")
    return _PAIRS[count].unpack(packed)


def _pack_level(state: Level) -> bytes:
    level, when_ns, rate = state
    return _LEVEL.pack(level.to_bytes(16, "little"), when_ns, rate)


def _unpack_level(packed: bytes) -> Level:
    level, when_ns, rate = _LEVEL.unpack(packed)
    return int.from_bytes(level, "little"), when_ns, rate


def _pack_amount(state: int) -> bytes:
    return _AMOUNT.pack(state)


def _unpack_amount(packed: bytes) -> int:
    return int(_AMOUNT.unpack(packed)[0])


class Form(NamedTuple):
    """How the states of one table are written down."""

    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]


def table_in(states: States[Any], shape: Shape, wall_s: Callable[[], float]) -> tuple[Table, Form]:
    """Return a table that keeps its states elsewhere, and how they are written down there."""
    match shape:
        case Sliding(window_s):
            return SlidingTable(window_s, states), Form(_pack_pairs, _unpack_pairs)
        case Bucket(window_s):
            return BucketTable(window_s, states), Form(_pack_level, _unpack_level)
        case Period():
            return PeriodTable(shape.ends_s, wall_s, states), Form(_pack_amount, _unpack_amount)
        case Slots():
            return SlotsTable(states), Form(_pack_amount, _unpack_amount)


type Row = tuple[str, str, str, int | str | None, float | None]
"""A counter: subject, unit, kind of its shape, window or key of it, end of it."""


def counter_row(counter: Counter) -> Row:
    """Return what a counter is made of."""
    shape = counter.shape
    if isinstance(shape, Sliding):
        return counter.subject, counter.unit, "sliding", shape.window_s, None
    if isinstance(shape, Period):
        return counter.subject, counter.unit, "period", shape.key, shape.ends_s
    if isinstance(shape, Bucket):
        return counter.subject, counter.unit, "bucket", shape.window_s, None
    return counter.subject, counter.unit, "slots", None, None


@lru_cache(maxsize=16_384)
def counter_of(subject: str, unit: str, kind: str, what: int | str | None, ends_s: float | None) -> Counter:
    """Return the counter that is made of this.  Raises StoreError."""
    match kind, what:
        case "sliding", int():
            return Counter(subject, unit, Sliding(what))
        case "bucket", int():
            return Counter(subject, unit, Bucket(what))
        case "period", str():
            return Counter(subject, unit, Period(what, ends_s))
        case "slots", None:
            return Counter(subject, unit, Slots())
    raise StoreError("a counter is not what was written")


def pack_hold(hold: Hold) -> bytes:
    """Write a hold down, but for its id and its end."""
    takes = [
        (*counter_row(take[0]), None if subject is take[0].subject else subject, take[1], take[2], take[3], mark)
        for take, subject, mark in zip(hold.takes, hold.subjects, hold.marks, strict=True)
    ]
    return orjson.dumps((hold.held.remaining, takes, hold.more))


def unpack_hold(call_id: str, until_ns: int, packed: bytes) -> Hold:
    """Read a hold back.  Raises StoreError."""
    try:
        remaining, rows, more = orjson.loads(packed)
        takes = [Take(counter_of(*row[:5]), *row[6:9]) for row in rows]
        subjects, marks = [row[5] or row[0] for row in rows], [row[9] for row in rows]
        held = Held(call_id, tuple(remaining))
        return Hold(held, takes, subjects, marks, until_ns, [(n, mark, amount) for n, mark, amount in more])
    except (ValueError, TypeError, LookupError) as error:
        raise StoreError("a hold is not what was written") from error
