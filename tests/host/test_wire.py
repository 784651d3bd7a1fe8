"""A wire: bytes straight to its owner, reading that stops and goes on, and ends that are told once and in order."""

import asyncio
import time
from unittest import mock

import pytest
from host.virtual import StubTransport, VirtualLoop, run

from jupiter_addons.host.wire import CLOSING_S, Wire


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def wire_data(self, wire: Wire, data: bytes) -> None:
        self.told.append(data)

    def wire_ended(self, wire: Wire, *, lost: bool) -> None:
        self.told.append("lost" if lost else "ended")

    def wire_congested(self, wire: Wire, *, congested: bool) -> None:
        self.told.append("congested" if congested else "free")


def a_wire(owner: Owner | None = None) -> tuple[Wire, StubTransport]:
    wire = Wire(owner)
    transport = StubTransport(wire)
    wire.connection_made(transport)
    return wire, transport


def test_nothing_is_read_before_somebody_owns_the_wire():
    wire, transport = a_wire()
    assert not transport.reading
    owner = Owner()
    wire.take(owner)
    assert transport.reading
    wire.data_received(b"a")
    assert owner.told == [b"a"]


def test_a_new_owner_gets_what_comes_from_then_on():
    first, second = Owner(), Owner()
    wire, transport = a_wire(first)
    wire.data_received(b"a")
    wire.take(second)
    wire.data_received(b"b")
    assert (first.told, second.told, transport.reading) == ([b"a"], [b"b"], True)


def test_reading_goes_on_after_as_many_resumes_as_pauses():
    wire, transport = a_wire(Owner())
    wire.pause()
    wire.pause()
    wire.resume()
    assert not transport.reading
    wire.resume()
    assert transport.reading


def test_a_paused_wire_that_changes_hands_stays_paused():
    wire, transport = a_wire(Owner())
    wire.pause()
    wire.take(Owner())
    assert not transport.reading
    wire.resume()
    assert transport.reading


def test_a_wire_that_is_taken_while_it_is_paused_for_something_else_waits_for_that():
    wire, transport = a_wire()
    wire.pause()
    wire.take(Owner())
    assert not transport.reading
    wire.resume()
    assert transport.reading


def test_the_peer_s_last_byte_leaves_our_direction_open():
    owner = Owner()
    wire, transport = a_wire(owner)
    assert wire.eof_received() is True  # asyncio would close the transport otherwise
    assert owner.told == ["ended"] and not wire.is_open
    wire.write([b"still"])
    assert transport.written == [b"still"]


def test_congestion_is_told_to_the_owner():
    owner = Owner()
    wire, _ = a_wire(owner)
    wire.pause_writing()
    assert wire.congested
    wire.resume_writing()
    assert not wire.congested and owner.told == ["congested", "free"]


def test_a_wire_that_is_being_closed_takes_no_more_bytes_and_tells_nobody_anything():
    async def main(_loop: VirtualLoop) -> tuple[list[bytes], list[object]]:
        owner = Owner()
        wire, transport = a_wire(owner)
        wire.write([b"last"])
        wire.close()
        wire.write([b"too late"])
        wire.half_close()
        wire.connection_lost(None)
        return transport.written, owner.told

    assert run(main) == ([b"last"], [])


def closed_with_unsent(seconds: float) -> bool:
    async def main(loop: VirtualLoop) -> bool:
        wire, transport = a_wire(Owner())
        transport.unsent = 1000
        wire.close()
        await asyncio.sleep(seconds)
        return transport.aborted

    return run(main)


def test_what_is_still_to_be_written_gets_a_while_and_no_more():
    assert not closed_with_unsent(CLOSING_S - 1)
    assert closed_with_unsent(CLOSING_S + 1)


def test_an_abort_is_at_once():
    async def main(_loop: VirtualLoop) -> tuple[bool, bool, list[object]]:
        owner = Owner()
        wire, transport = a_wire(owner)
        transport.unsent = 1000
        wire.abort()
        return transport.aborted, wire.is_open, owner.told

    assert run(main) == (True, False, [])


def test_a_half_close_sends_the_last_byte_only():
    wire, transport = a_wire(Owner())
    wire.half_close()
    assert transport.eof and not transport.closing


# -- peers that take nothing -----------------------------------------------------------------------------------------------


def stuck_after(sizes: list[tuple[float, int]], longest_s: float) -> bool:
    """Ask at these times, with so much unsent; return the last answer."""
    wire, transport = a_wire(Owner())
    wire.pause_writing()
    found, before = False, 0
    for at, size in sizes:
        if size > before:
            wire.write([bytes(size - before)])
        transport.unsent = before = size
        with mock.patch.object(time, "monotonic", lambda at=at: at):
            found = wire.is_stuck(longest_s)
    return found


@pytest.mark.parametrize(
    ("sizes", "stuck"),
    [
        ([(0, 100), (29, 100)], False),
        ([(0, 100), (31, 100)], True),
        ([(0, 100), (20, 90), (40, 90)], False),
        ([(0, 100), (20, 90), (51, 90)], True),
        ([(0, 100), (20, 400), (31, 400)], True),
    ],
    ids=["not yet", "nothing taken", "something taken", "and then nothing", "more was written, nothing taken"],
)
def test_a_peer_that_takes_no_byte_for_too_long_is_stuck(sizes, stuck: bool):
    assert stuck_after(sizes, 30) is stuck


def test_a_peer_that_takes_its_bytes_slowly_is_not_stuck_although_more_was_written_meanwhile():
    sizes = [(0.0, 100_000)] + [(float(second), 2_000_000 - 10_000 * second) for second in range(1, 60)]
    assert not stuck_after(sizes, 30)


def test_a_peer_that_is_not_congested_is_never_stuck():
    wire, transport = a_wire(Owner())
    transport.unsent = 100
    for at in (0.0, 100.0, 1000.0):
        with mock.patch.object(time, "monotonic", lambda at=at: at):
            assert not wire.is_stuck(30)
