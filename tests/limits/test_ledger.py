"""Limits on one side, a store on the other; what happens when it does not answer."""

import asyncio
import math
from collections.abc import Sequence

import pytest
from support.trial import Clocks

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.ledger import LEASE_S, RENEW_S, Exceeded, Ledger, NotCountedError, Reservation
from jupiter_addons.limits.limit import Amounts, Limit, Terms, limit_of
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.store import Counter, Held, Short, Sliding, Take, come


class Later(MemoryStore):
    """A store that answers later, or, while it is down, not at all."""

    is_down = False

    def _check(self) -> None:
        if self.is_down:
            raise StoreError("the store does not answer")

    async def _later(self, answer):
        await asyncio.sleep(0)
        self._check()
        return answer

    async def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float) -> Held | Short:
        return await self._later(None) or super().reserve(call_id, takes, lease_s)

    async def extend(self, call_id, more):
        return await self._later(None) or super().extend(call_id, more)

    async def settle(self, call_id, amounts):
        return await self._later(None) or super().settle(call_id, amounts)

    async def usage(self, counters):
        return await self._later(None) or super().usage(counters)

    async def renew(self, call_ids, lease_s):
        return await self._later(None) or super().renew(call_ids, lease_s)

    async def tend(self, most=1000):
        return await self._later(None) or super().tend(most)


class World:
    """A ledger with clocks that the test moves."""

    def __init__(self, store: type[MemoryStore] = MemoryStore, share: int = 1) -> None:
        self.clocks = Clocks()
        self.store = store(self.clocks.steady_ns, self.clocks.wall_s)
        self.ledger = Ledger(
            self.store, wall_s=self.clocks.wall_s, steady_s=lambda: self.clocks.steady / 1e9, share=share
        )

    def reserve(self, call_id: str, *limits: Limit, amounts: Amounts = Amounts()) -> Reservation | Exceeded:  # noqa: B008 - frozen
        return asyncio.run(self.ledger.reserve(call_id, limits, amounts))

    def held(self, call_id: str, *limits: Limit, amounts: Amounts = Amounts()) -> Reservation:  # noqa: B008 - frozen
        found = self.reserve(call_id, *limits, amounts=amounts)
        assert isinstance(found, Reservation)
        return found

    def settle(self, held: Reservation, true: Amounts) -> bool:
        return asyncio.run(self.ledger.settle(held, true))

    def extend(self, held: Reservation, more: Amounts) -> Reservation | Exceeded:
        async def extended():
            return await come(self.ledger.extend(held, more))

        return asyncio.run(extended())

    def tend(self):
        return asyncio.run(self.ledger.tend())

    def taken(self, limit: Limit) -> tuple[int, int]:
        return tuple(asyncio.run(self.ledger.counts([limit]))[0])


@pytest.fixture(params=[MemoryStore, Later], ids=["at once", "later"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def requests(amount=2, subject="user:alice", **terms) -> Limit:
    return limit_of(subject, "requests_per_minute", Terms(amount, **terms))


def tokens(amount=1000, subject="team:lab") -> Limit:
    return limit_of(subject, "tokens_per_day", Terms(amount))


def budget(amount=100, **terms) -> Limit:
    return limit_of("team:lab", "usd_per_month", Terms(amount, **terms))


def test_every_unit_is_held_at_its_bound_and_settled_at_what_it_was(world: World):
    limits = [requests(), tokens(), budget()]
    held = world.held("c", *limits, amounts=Amounts(500, 400, 90))
    assert held.remaining == (1, 100, 10)
    refused = world.reserve("d", *limits, amounts=Amounts(100, 101, 10))
    assert isinstance(refused, Exceeded)
    assert list(refused.every) == [limits[1]]
    assert world.settle(held, Amounts(200, 100, 30))
    assert not world.settle(held, Amounts(200, 100, 30))
    assert [world.taken(limit)[0] for limit in limits] == [1, 300, 30]


def test_asked_twice_a_call_takes_once(world: World):
    assert world.held("c", requests()) == world.held("c", requests())
    assert world.ledger.open_count == 1


def test_of_two_exceeded_limits_the_one_that_is_free_last_is_named(world: World):
    limits = [requests(1), limit_of("user:alice", "requests_per_day", Terms(1))]
    world.held("c", *limits)
    refused = world.reserve("d", *limits)
    assert isinstance(refused, Exceeded)
    assert refused.limit == limits[1]
    assert 80_000 < refused.retry_after_s <= 95_100
    assert set(refused.every) == set(limits)
    assert refused.standing is not None
    assert refused.standing.remaining == 0


def test_a_call_that_is_more_than_its_limit_is_never_admitted(world: World):
    refused = world.reserve("c", tokens(10), amounts=Amounts(11))
    assert isinstance(refused, Exceeded)
    assert refused.retry_after_s == math.inf


def test_a_refusal_names_the_limits_that_only_what_is_held_is_in_the_way_of(world: World):
    limits = [tokens(1000), budget(100), requests(2)]
    first = world.held("c", *limits, amounts=Amounts(100, 800, 90))
    refused = world.reserve("d", *limits, amounts=Amounts(100, 800, 90))
    assert isinstance(refused, Exceeded)
    assert refused.held_back == set(limits[:2])
    world.settle(first, Amounts(100, 50, 30))
    world.held("e", tokens(1000), amounts=Amounts(0, 700))
    refused = world.reserve("d", *limits, amounts=Amounts(100, 800, 80))
    assert isinstance(refused, Exceeded)
    assert (set(refused.every), refused.held_back) == ({limits[0], limits[1]}, frozenset())  # 150 and 30 were spent
    refused = world.reserve("d", *limits, amounts=Amounts(100, 700, 50))
    assert isinstance(refused, Exceeded)
    assert refused.held_back == {limits[0]}


@pytest.mark.parametrize("name", ["requests_per_minute", "concurrent_requests"])
def test_requests_and_calls_that_run_are_not_held_at_a_worst_case(world: World, name: str):
    limit = limit_of("user:alice", name, Terms(1))
    world.held("c", limit)
    refused = world.reserve("d", limit)
    assert isinstance(refused, Exceeded)
    assert refused.held_back == frozenset()


def test_a_stream_that_gets_no_more_is_told_whether_it_is_only_held(world: World):
    held = world.held("c", tokens(100), amounts=Amounts(10, 20))
    world.held("d", tokens(100), amounts=Amounts(0, 50))
    refused = world.extend(held, Amounts(0, 30, requests=0))
    assert isinstance(refused, Exceeded)
    assert refused.held_back == {tokens(100)}


def test_who_wants_to_know_is_told_when_holds_come_back_and_not_when_the_store_is_down():
    world, told = World(Later), []
    world.ledger.on_settled.add(told.append)
    first, second = (world.held(name, budget(), amounts=Amounts(nusd=10)) for name in "cd")
    world.settle(first, Amounts(nusd=5))
    assert told == [first]
    world.store.is_down = True
    world.settle(second, Amounts(nusd=5))
    assert told == [first]


def test_without_a_limit_nothing_is_asked_of_the_store(world: World):
    held = world.held("c")
    assert held.takes == held.standings == ()
    assert world.settle(held, Amounts())
    assert not world.settle(held, Amounts())


def test_a_call_takes_more_while_it_runs(world: World):
    limits = (requests(), tokens(100), budget(50))
    held = world.held("c", *limits, amounts=Amounts(10, 20, 5))
    more = world.extend(held, Amounts(0, 30, 6, requests=0))
    assert isinstance(more, Reservation)
    assert more.amounts == Amounts(10, 50, 11)
    assert more.remaining == (1, 40, 39)
    assert isinstance(world.extend(more, Amounts(0, 41, 0, requests=0)), Exceeded)
    assert world.settle(more, Amounts(10, 45, 10))
    assert [world.taken(limit)[0] for limit in limits] == [1, 55, 10]


def test_what_only_tells_lets_a_call_pass_and_says_that_it_is_over(world: World):
    limit = requests(1, enforcement="shadow")
    assert not world.held("c", limit).standings[0].is_over
    standing = world.held("d", limit).standings[0]
    assert standing.is_over
    assert standing.remaining == -1


@pytest.mark.parametrize(
    ("limit", "reset_s"),
    [
        (requests(10), 66),
        (requests(60, burst=10), 1),
        (limit_of("u", "usd_total", Terms(5)), math.inf),
        (limit_of("u", "requests_per_day", Terms(5, zone="UTC")), 86_400 - 1_790_000_000 % 86_400),
        (limit_of("u", "concurrent_requests", Terms(5)), 0),
    ],
    ids=["sliding", "bucket", "ever", "calendar", "running"],
)
def test_it_is_told_when_nothing_will_be_taken(world: World, limit: Limit, reset_s: float):
    assert world.held("c", limit).standings[0].reset_s(world.clocks.wall) == reset_s


def test_leases_are_renewed_while_a_call_runs_and_end_with_the_process(world: World):
    limit = limit_of("u", "concurrent_requests", Terms(5))
    held = world.held("c", limit)
    for _ in range(10):
        world.clocks.forward(RENEW_S)
        assert world.tend() == []
    world.ledger._open.clear()  # the process has died
    world.clocks.forward(LEASE_S)
    assert [expired.call_id for expired in world.tend()] == ["c"]
    assert world.taken(limit) == (0, 0)
    assert not world.settle(held, Amounts())


def test_something_is_first_once_in_its_window(world: World):
    counter = Counter("alert:user:alice", "requests_per_minute:80", Sliding(60))
    first = [asyncio.run(world.ledger.first(counter)) for _ in range(3)]
    world.clocks.forward(70)
    assert [*first, asyncio.run(world.ledger.first(counter))] == [True, False, False, True]


def test_a_subject_can_be_charged_otherwise_than_the_others(world: World):
    limits = [tokens(subject="provider:a"), tokens(subject="team:lab")]
    held = world.held("c", *limits, amounts=Amounts(100))
    assert asyncio.run(world.ledger.settle(held, Amounts(60), instead={"provider:a": Amounts()}))
    assert [world.taken(limit)[0] for limit in limits] == [0, 60]


def test_a_reset_lets_calls_in_again(world: World):
    limit = requests(1)
    world.settle(world.held("c", limit), Amounts())
    asyncio.run(world.ledger.reset([limit]))
    world.held("d", limit)


def test_what_is_used_is_told_at_once_or_later(world: World):
    async def usage():
        return await come(world.ledger.usage("alice", "m"))

    assert set(asyncio.run(usage()).values()) == {0}
    assert world.ledger.answers_later is isinstance(world.store, Later)


# -- a store that is down ---------------------------------------------------------------------------------------------


def test_a_store_that_is_down_refuses_what_must_be_counted():
    world = World(Later)
    world.store.is_down = True
    with pytest.raises(NotCountedError) as caught:
        world.reserve("c", requests(on_store_failure="local"), budget())
    assert caught.value.limit == budget()
    assert world.ledger.open_count == 0


def test_what_may_be_counted_locally_is_admitted_up_to_this_process_share():
    world = World(Later, share=3)
    world.store.is_down = True
    limit = requests(9, on_store_failure="local")
    outcomes = [world.reserve(f"c{number}", limit) for number in range(4)]
    assert [type(outcome).__name__ for outcome in outcomes] == ["Reservation"] * 3 + ["Exceeded"]
    held = outcomes[0]
    assert isinstance(held, Reservation)
    assert held.branch == "local"
    assert world.settle(held, Amounts())
    world.store.is_down = False
    assert world.held("later", limit).branch == "store"
    assert world.taken(limit) == (1, 1)


def test_what_only_counts_needs_the_store_as_well():
    world = World(Later)
    world.store.is_down = True
    with pytest.raises(StoreError):
        asyncio.run(world.ledger.reserve("c", [], Amounts(), counters=[Counter("usage:a", "requests", Sliding(1))]))


def test_what_could_not_be_settled_is_settled_when_the_store_answers_and_held_until_then():
    world = World(Later)
    held = world.held("c", budget(), amounts=Amounts(nusd=90))
    world.store.is_down = True
    assert world.settle(held, Amounts(nusd=20))
    assert world.ledger.open_count == 1
    with pytest.raises(StoreError):
        world.tend()
    world.store.is_down = False
    assert world.taken(budget()) == (90, 90)
    world.tend()
    assert world.taken(budget()) == (20, 0)
    assert world.ledger.open_count == 0
