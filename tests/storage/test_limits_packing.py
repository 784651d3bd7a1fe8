"""What is written down is read back as it was, or refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.counting import Hold
from jupiter_addons.limits.states import Forever
from jupiter_addons.limits.store import MAX_AMOUNT, Bucket, Counter, Held, Period, Shape, Sliding, Slots, Take
from jupiter_addons.storage.limits_packing import counter_of, counter_row, pack_hold, table_in, unpack_hold

SHAPES: list[Shape] = [Sliding(60), Bucket(3600), Period("2026-03@Europe/Berlin", 1.5), Period("ever", None), Slots()]
amounts = st.integers(0, MAX_AMOUNT)
shapes = st.sampled_from(SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_counter_is_what_its_row_says(shape: Shape):
    counter = Counter("user:älice", "tokens", shape)
    assert counter_of(*counter_row(counter)) == counter
    assert counter_of(*counter_row(counter)).series == counter.series


@given(
    takes=st.lists(st.tuples(shapes, amounts, amounts, amounts, st.booleans()), max_size=5),
    marks=st.lists(amounts, min_size=5, max_size=5),
    more=st.lists(st.tuples(st.integers(0, 4), amounts, amounts)),
)
def test_a_hold_is_read_as_it_was_written(takes, marks, more):
    made = [Take(Counter("a", "nusd", shape), amount, cap, rate) for shape, amount, cap, rate, _ in takes]
    subjects = ["crowd" if crowd else "a" for *_, crowd in takes]
    hold = Hold(Held("c", tuple(marks)), made, subjects, marks[: len(made)], 7, more)
    found = unpack_hold("c", 7, pack_hold(hold))
    assert (found.held, list(found.takes), found.subjects) == (hold.held, made, subjects)
    assert (found.marks, found.until_ns, found.more) == (hold.marks, 7, more)


@given(shape=shapes, amount=amounts, now_ns=st.integers(0, 2**62), rate=st.integers(1, 10**9))
def test_a_state_is_read_as_it_was_written(shape: Shape, amount: int, now_ns: int, rate: int):
    kept: Forever = Forever()
    table, form = table_in(kept, shape, float)
    table.add("a", amount, now_ns, rate)
    before = table.taken("a", now_ns)
    if "a" in kept:
        kept.put("a", form.unpack(form.pack(kept["a"])))
    assert table.taken("a", now_ns) == before == amount


@pytest.mark.parametrize(
    "packed", [b"", b"[", b"[[1],[[1]],[]]", b'[[1],[["a","t","sliding","x",null]],[]]', b"{}", b"7"]
)
def test_a_hold_that_is_not_one_is_refused(packed: bytes):
    with pytest.raises(StoreError):
        unpack_hold("c", 1, packed)


@pytest.mark.parametrize("packed", [b"", b"12345678", b"1" * 16, b"1" * 25, b"1" * 32])
def test_a_window_that_is_not_one_is_refused(packed: bytes):
    with pytest.raises((StoreError, struct.error)):
        table_in(Forever(), Sliding(60), float)[1].unpack(packed)
