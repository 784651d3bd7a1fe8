"""The pool: which idle connection is given to whom, when one is closed, and how many there may be to one address.

Idle connections come from a playbook, so that the layers above them are real; their wires are not.
It is long because the pool has many ways to lose a connection, and each has its case.
"""

import asyncio
import random
import time
from typing import Any
from unittest import mock

import pytest
from host.playbook import HOST, Chain, Playbook, post
from host.providers import JSON_HEAD, answer, chunk
from host.seeds import fresh_seeds, seeded
from host.virtual import StubTransport, VirtualLoop, run
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import events

from jupiter_addons.host.pool import IDLE_S, Key, Pool, Upstream, UpstreamWire
from jupiter_addons.host.state import EdgeLimits

HERE = ("a.test", 80)
KEY: Key = (HERE, False, None)


class Handler:
    """What an upstream connection is read by while it is in use."""

    def __init__(self, wire: UpstreamWire) -> None:
        self._wire = wire
        self.closed: list[Any] = []

    def close_connection(self, server: Any) -> None:
        self.closed.append(server)
        self._wire.close()


def an_upstream(said: bytes | None = None, *, to: str = "a.test") -> Upstream:
    """Return a connection after this answer to its first request; by default one that is idle."""
    play = Playbook(Chain(to))
    play.client_says(post())
    play.upstream_says(0, answer() if said is None else said)
    upstream = HOST.pool.using(play.upstreams[0])
    assert upstream is not None
    return upstream


def a_wire(freed: Any = lambda: None) -> tuple[UpstreamWire, StubTransport]:
    wire = UpstreamWire()
    wire.tie(freed)
    transport = StubTransport(wire)
    wire.connection_made(transport)
    return wire, transport


def an_upstream_in(pool: Pool, key: Key) -> Upstream:
    """Put an idle connection into a pool in the middle of a conversation, whose host stays as it is."""
    limits, chain_pool = HOST.limits, HOST.pool
    upstream = an_upstream()
    HOST.limits, HOST.pool = limits, chain_pool
    upstream.key = key
    pool.give(upstream, a_wire()[0])
    return upstream


def given(pool: Pool, *, key: Key = KEY, at: float = 0.0) -> tuple[Upstream, UpstreamWire, StubTransport]:
    """Put an idle connection into a pool."""
    upstream = an_upstream(to=key[0][0])
    upstream.key = key
    wire, transport = a_wire()
    with mock.patch.object(time, "monotonic", return_value=at):
        pool.give(upstream, wire)
    return upstream, wire, transport


# -- which connection ------------------------------------------------------------------------------------------------------


def test_a_connection_is_idle_when_its_answer_is_through_and_not_before():
    assert an_upstream().is_idle and an_upstream().can_take
    assert not an_upstream(JSON_HEAD + chunk(b"{")).is_idle
    assert not an_upstream(b"").is_idle


def test_a_given_connection_is_found_again_once():
    pool = Pool()
    upstream, wire, _ = given(pool)
    assert len(pool) == 1 and upstream.holder is None
    assert pool.take(KEY) == (upstream, wire)
    assert pool.take(KEY) is None and len(pool) == 0 and pool.reused == 1


@pytest.mark.parametrize(
    "other",
    [(("b.test", 80), False, None), (("a.test", 81), False, None), (HERE, True, "a.test"), (HERE, False, "a.test")],
    ids=["host", "port", "tls", "server name"],
)
def test_a_connection_serves_only_requests_that_have_its_address_and_identity(other: Key):
    pool = Pool()
    given(pool)
    assert pool.take(other) is None and len(pool) == 1


def test_the_connection_used_last_is_taken_first():
    pool = Pool()
    given(pool)
    newest, _, _ = given(pool)
    found = pool.take(KEY)
    assert found is not None and found[0] is newest


def test_what_is_in_use_is_known_and_what_is_idle_or_closed_is_not():
    pool = Pool()
    upstream, _, _ = given(pool)
    assert pool.using(upstream.server) is None
    pool.take(KEY)
    assert pool.using(upstream.server) is upstream
    pool.drop(upstream)
    assert pool.using(upstream.server) is None


def pooled_before(*targets: str) -> tuple[Upstream, Playbook]:
    """Return an idle connection to a.test that is in the pool, and a client that has not asked anything yet."""
    spare = an_upstream()
    wire, _ = a_wire()
    play = Playbook(Chain(*targets), limits=EdgeLimits(attempts=1))
    HOST.pool.give(spare, wire)
    return spare, play


def test_a_request_is_sent_on_an_idle_connection_of_the_pool():
    spare, play = pooled_before("a.test")
    play.client_says(post())
    assert play.upstreams == [] and play.sent[spare.server].startswith(b"POST /of/a.test")
    play.feed(events.DataReceived(spare.server, answer(200, b"[1]")))
    assert play.client_saw == answer(200, b"[1]") and HOST.pool.reused == 1


def test_a_request_for_another_place_is_not():
    _, play = pooled_before("b.test")
    play.client_says(post())
    assert play.upstream_saw(0).startswith(b"POST /of/b.test") and len(HOST.pool) == 1


def test_a_request_that_has_met_a_stale_connection_gets_a_new_one_whatever_is_kept():
    spare, play = pooled_before("a.test", "a.test")
    second = an_upstream_in(HOST.pool, spare.key)
    play.client_says(post())
    used = next(iter(play.sent))
    used.state = ConnectionState.CLOSED
    play.feed(events.ConnectionClosed(used))
    assert play.asked == ["stale"] and len(play.upstreams) == 1 and len(HOST.pool) == 1
    assert HOST.pool.take(second.key) is not None
    play.upstream_leaves(0)
    assert play.asked == ["stale"] and play.settled == 1


# -- when one is closed ---------------------------------------------------------------------------------------------------------


def closing(happens: Any) -> tuple[int, bool]:
    async def main(_loop: VirtualLoop) -> tuple[int, bool]:
        pool = Pool()
        _, wire, transport = given(pool)
        happens(pool, wire)
        return len(pool), transport.closing

    return run(main)


@pytest.mark.parametrize(
    "happens",
    [
        lambda pool, wire: wire.data_received(b"HTTP/1.1 408 Request Timeout\r\n\r\n"),
        lambda pool, wire: wire.eof_received(),
        lambda pool, wire: pool.expire(),
    ],
    ids=["it says something unasked", "its peer ends it", "it is idle for too long"],
)
def test_an_idle_connection_that_is_of_no_use_any_more_is_closed(happens: Any):
    assert closing(happens) == (0, True)


def test_a_connection_is_kept_for_as_long_as_it_may_be_idle():
    async def main(_loop: VirtualLoop) -> tuple[int, int]:
        pool = Pool()
        given(pool, at=100.0)
        given(pool, at=120.0)
        with mock.patch.object(time, "monotonic", return_value=100.0 + IDLE_S - 1):
            pool.expire()
        before = len(pool)
        with mock.patch.object(time, "monotonic", return_value=101.0 + IDLE_S):
            pool.expire()
        return before, len(pool)

    assert run(main) == (2, 1)


def test_a_connection_that_has_ended_is_not_kept():
    async def main(_loop: VirtualLoop) -> int:
        pool = Pool()
        wire, transport = a_wire()
        wire.ended = True
        pool.give(an_upstream(), wire)
        assert transport.closing
        return len(pool)

    assert run(main) == 0


def test_a_connection_that_is_taken_is_read_by_its_new_owner_only():
    pool = Pool()
    _, wire, _ = given(pool)
    pool.take(KEY)
    told: list[bytes] = []

    class Owner:
        def wire_data(self, _wire: Any, data: bytes) -> None:
            told.append(data)

    wire.take(Owner())  # type: ignore[arg-type] # only what this test needs
    wire.data_received(b"x")
    assert told == [b"x"] and wire.is_open


# -- how many ------------------------------------------------------------------------------------------------------------------------


def test_as_many_connections_as_allowed_have_a_place_and_the_next_one_waits_for_it():
    async def main(_loop: VirtualLoop) -> list[Any]:
        pool, seen = Pool(), []
        first, second = await pool.place(HERE, 2), await pool.place(HERE, 2)
        third = asyncio.ensure_future(pool.place(HERE, 2))
        await asyncio.sleep(1)
        seen += [third.done(), pool.is_wanted(HERE), pool.open]
        first()
        await asyncio.sleep(1)
        seen += [third.done(), pool.is_wanted(HERE), pool.open]
        second()
        third.result()()
        return [*seen, pool.open]

    assert run(main) == [False, True, 2, True, False, 2, 0]


def test_addresses_do_not_wait_for_one_another():
    async def main(_loop: VirtualLoop) -> int:
        pool = Pool()
        await pool.place(HERE, 1)
        await asyncio.wait_for(pool.place(("b.test", 80), 1), 1)
        return pool.open

    assert run(main) == 2


def test_a_place_is_given_back_once_however_often_it_is_said():
    async def main(_loop: VirtualLoop) -> int:
        pool = Pool()
        first, _second = await pool.place(HERE, 5), await pool.place(HERE, 5)
        first()
        first()
        return pool.open

    assert run(main) == 1


def test_many_that_wait_are_served_in_their_order():
    async def main(_loop: VirtualLoop) -> list[int]:
        pool, order = Pool(), []

        async def one(number: int) -> None:
            freed = await pool.place(HERE, 1)
            order.append(number)
            await asyncio.sleep(1)
            freed()

        await asyncio.gather(*(one(number) for number in range(6)))
        assert pool.open == 0 and not pool.is_wanted(HERE)
        return order

    assert run(main) == list(range(6))


def test_one_that_stops_waiting_leaves_its_turn_to_the_next():
    async def main(_loop: VirtualLoop) -> bool:
        pool = Pool()
        freed = await pool.place(HERE, 1)
        first, second = (asyncio.ensure_future(pool.place(HERE, 1)) for _ in range(2))
        await asyncio.sleep(1)
        first.cancel()
        freed()
        await asyncio.sleep(1)
        return second.done() and not second.cancelled()

    assert run(main)


def test_one_that_stops_waiting_when_the_place_is_already_its_own_passes_it_on():
    async def main(_loop: VirtualLoop) -> bool:
        pool = Pool()
        freed = await pool.place(HERE, 1)
        first, second = (asyncio.ensure_future(pool.place(HERE, 1)) for _ in range(2))
        await asyncio.sleep(1)
        freed()
        first.cancel()  # it has been woken, but has not run
        await asyncio.sleep(1)
        return second.done() and not second.cancelled()

    assert run(main)


def places_come_and_go(dice: random.Random) -> None:
    """Take and give back places to one address, at random; some do not wait for long."""

    async def main(_loop: VirtualLoop) -> None:
        pool, held, most = Pool(), 0, 3

        async def one() -> None:
            nonlocal held
            try:
                async with asyncio.timeout(dice.choice([0.5, 2.0, 1000.0])):
                    freed = await pool.place(HERE, most)
            except TimeoutError:
                return
            held += 1
            assert held <= most
            await asyncio.sleep(dice.choice([0.0, 0.5, 1.0]))
            held -= 1
            freed()

        tasks = []
        for _ in range(40):
            tasks.append(asyncio.ensure_future(one()))
            await asyncio.sleep(dice.choice([0.0, 0.0, 0.5]))
        await asyncio.wait_for(asyncio.gather(*tasks), 5000)
        assert pool.open == 0 and not pool.is_wanted(HERE)

    run(main)


def test_no_interleaving_of_places_loses_one_or_gives_too_many():
    for seed in fresh_seeds(50):
        with seeded(seed) as dice:
            places_come_and_go(dice)


def test_an_idle_connection_makes_room_for_one_that_is_needed():
    async def main(_loop: VirtualLoop) -> tuple[bool, int]:
        pool = Pool()
        freed = await pool.place(HERE, 1)
        wire, transport = a_wire(freed)
        pool.give(an_upstream(), wire)
        await asyncio.wait_for(pool.place(HERE, 1), 5)
        return transport.closing, pool.open

    assert run(main) == (True, 1)


def test_so_does_one_that_another_client_holds_and_does_not_use():
    async def main(_loop: VirtualLoop) -> int:
        pool = Pool()
        wire, _ = a_wire(await pool.place(HERE, 1))
        upstream = an_upstream()
        upstream.handler = handler = Handler(wire)
        pool.use(upstream)
        await asyncio.wait_for(pool.place(HERE, 1), 5)
        return len(handler.closed)

    assert run(main) == 1


def test_one_that_serves_a_request_does_not():
    async def main(_loop: VirtualLoop) -> bool:
        pool = Pool()
        wire, transport = a_wire(await pool.place(HERE, 1))
        upstream = an_upstream(JSON_HEAD + chunk(b"{"))
        upstream.handler = Handler(wire)
        pool.use(upstream)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.place(HERE, 1), 5)
        return transport.closing

    assert run(main) is False


def test_a_connection_whose_place_somebody_waits_for_is_not_pooled():
    async def main(_loop: VirtualLoop) -> tuple[bool, int]:
        pool = Pool()
        wire, transport = a_wire(await pool.place(HERE, 1))
        waiting = asyncio.ensure_future(pool.place(HERE, 1))
        await asyncio.sleep(0)
        pool.give(an_upstream(), wire)
        await asyncio.wait_for(waiting, 5)
        return transport.closing, len(pool)

    assert run(main) == (True, 0)


def test_a_new_connection_takes_the_place_of_the_one_that_has_been_idle_the_longest():
    async def play(_loop: VirtualLoop) -> None:
        pool = Pool()
        first, second = given(pool)[1], given(pool)[1]
        pool.retire(KEY)
        assert (first.is_open, second.is_open, len(pool)) == (False, True, 1)
        pool.retire((("b.test", 80), False, None))
        assert len(pool) == 1
        pool.retire(KEY)
        pool.retire(KEY)
        assert len(pool) == 0

    run(play)
