"""The ledger: limits and amounts on one side, a store of counters on the other.

A call is reserved under all its limits at once or refused, may be extended while it runs, and is settled once.  What the store
cannot take because it does not answer is kept here and settled when it does; until then it counts as held.
"""

import inspect
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.limit import Amounts, Limit
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.sizes import Sizes
from jupiter_addons.limits.store import (
    BUCKETS,
    MAX_AMOUNT,
    Bucket,
    Count,
    Counter,
    Expired,
    Held,
    Period,
    Short,
    Sliding,
    Soon,
    Store,
    Take,
    come,
)
from jupiter_addons.limits.usage import meters
from jupiter_addons.units import NANO_PER_USD

LEASE_S = 120.0
"""So long a call is held if the process that runs it says nothing more of it."""
RENEW_S = 30.0
"""How often it does."""

COME_BACK = frozenset({"tokens", "input_tokens", "output_tokens", "nusd"})
"""What is held at a worst case, of which something comes back.  A request is one, and a call that runs may run for long."""

Branch = Literal["store", "local"]
"""Where a call was counted: in the store, or, while that did not answer, in this process alone."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call has taken."""

    call_id: str
    limits: tuple[Limit, ...]
    takes: tuple[Take, ...]
    """Those of the limits, in their order, then those that only count."""
    remaining: tuple[int, ...]
    amounts: Amounts
    at_s: float
    """When it was admitted, in seconds since 1970: the periods it belongs to."""
    branch: Branch = "store"

    @property
    def standings(self) -> tuple["Standing", ...]:
        """How its limits stand."""
        return tuple(
            Standing(limit, take, left)
            for limit, take, left in zip(self.limits, self.takes, self.remaining, strict=False)
        )

    @property
    def bounds_output(self) -> Limit | None:
        """The first limit that a longer answer would take more of, and that refuses."""
        units = ("tokens", "output_tokens", "nusd")
        return next((limit for limit in self.limits if limit.refuses and limit.kind.unit in units), None)


class Standing(NamedTuple):
    """How a limit stands after a call."""

    limit: Limit
    take: Take
    left: int
    """Of the take's cap."""

    @property
    def remaining(self) -> int:
        """What is left of the limit; less than nothing if it is one that lets too much pass."""
        return self.left if self.limit.refuses else self.limit.most - (MAX_AMOUNT - self.left)

    @property
    def is_over(self) -> bool:
        """Whether more was taken than the limit allows, because it is one that only tells."""
        return self.remaining < 0

    def reset_s(self, now_s: float) -> float:
        """Return in how many seconds nothing will be taken, if nothing more is; of a window, at most."""
        taken = self.limit.most - self.remaining
        match self.take.counter.shape:
            case Sliding(window_s):
                return window_s * (BUCKETS + 1) / BUCKETS if taken > 0 else 0.0
            case Bucket(window_s):
                return taken * window_s / max(1, self.limit.terms.amount)
            case Period(ends_s=ends_s):
                return math.inf if ends_s is None else max(0.0, ends_s - now_s)
        return 0.0


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A call that was refused."""

    limit: Limit
    """The one that is free last: a client that waits for it is admitted."""
    retry_after_s: float
    """Infinite if that is never: the call alone is more than the limit."""
    every: Mapping[Limit, float] = field(default_factory=dict, compare=False)
    """All limits that refuse it, and when each would admit it."""
    held_back: frozenset[Limit] = field(default=frozenset(), compare=False)
    """Those of them that would admit it at once if all that is held, and may come back, did."""
    standing: Standing | None = None
    """How that limit stands, without the call."""


class NotCountedError(StoreError):
    """Nobody can tell what was taken, and a limit says that then nothing is."""

    def __init__(self, limit: Limit, error: StoreError) -> None:
        super().__init__(f"`{limit.name}` of `{limit.subject}` cannot be counted: {error}")
        self.limit = limit


class Ledger:
    """What has been taken under every limit.  Belongs to one event loop."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        wall_s: Callable[[], float] = time.time,
        steady_s: Callable[[], float] = time.monotonic,
        share: int = 1,
    ) -> None:
        """`share`: how many processes count in the same store; each admits so much of a limit that can be counted locally."""
        self.store: Store = MemoryStore() if store is None else store
        self.wall_s = wall_s
        self._steady_s = steady_s
        self._share = share
        self._local = MemoryStore()
        self._open: dict[str, Reservation] = {}
        self._owed: dict[str, tuple[int, ...]] = {}
        """Calls that have ended and whose store did not answer -> what they came to."""
        self._renewed_s = steady_s()
        self.sizes = Sizes()
        """How long answers turn out to be."""
        self.on_settled: set[Callable[[Reservation], None]] = set()
        """Who is told of every call of this process whose holds have come back."""

    async def reserve(
        self, call_id: str, limits: Sequence[Limit], amounts: Amounts, *, counters: Iterable[Counter] = ()
    ) -> Reservation | Exceeded:
        """Take what a call may come to under every limit, or nothing under any; `counters` only count it.

        Raises NotCountedError.
        """
        if (known := self._open.get(call_id)) is not None:
            return known
        at_s = self.wall_s()
        takes = [limit.take(limit.counter(at_s), amounts.of(limit.kind.unit)) for limit in limits]
        takes += [Take(counter, amounts.of(counter.unit)) for counter in counters]
        branch: Branch = "store"
        try:
            outcome: Held | Short = Held(call_id, ())
            if takes:
                outcome = await come(self.store.reserve(call_id, takes, LEASE_S))
        except StoreError as error:
            strict = next((limit for limit in limits if limit.terms.on_store_failure == "deny"), None)
            if strict is not None or not limits:
                raise error if strict is None else NotCountedError(strict, error) from error
            branch = "local"
            takes = [
                limit.take(take.counter, take.amount, self._share) for limit, take in zip(limits, takes, strict=False)
            ]
            outcome = self._local.reserve(call_id, takes, LEASE_S)
        if isinstance(outcome, Short):
            return _exceeded(outcome, limits, takes, [take.amount for take in takes])
        held = Reservation(call_id, tuple(limits), tuple(takes), outcome.remaining, amounts, at_s, branch)
        self._open[call_id] = held
        return held

    def _store_of(self, held: Reservation) -> Store:
        return self.store if held.branch == "store" else self._local

    def extend(
        self, held: Reservation, more: Amounts, *, instead: Mapping[str, Amounts] | None = None
    ) -> Soon[Reservation | Exceeded]:
        """Take more for a call that runs; at once if the store answers at once, because a stream cannot wait.

        Nor does it wait for what others hold: it would have to fall silent.  `instead`: what is taken of some subjects.
        Raises StoreError if it cannot be taken, or the call is not open any more.
        """
        wanted = _amounts(held.takes, more, instead)
        answer: Soon[Held | Short] = Held(held.call_id, held.remaining)
        if any(wanted):
            answer = self._store_of(held).extend(held.call_id, wanted)
        if isinstance(answer, Held | Short):
            return self._extended(held, more, wanted, answer)
        return self._extended_later(held, more, wanted, answer)

    async def _extended_later(
        self, held: Reservation, more: Amounts, wanted: Sequence[int], answer: Awaitable[Held | Short]
    ) -> Reservation | Exceeded:
        return self._extended(held, more, wanted, await answer)

    def _extended(
        self, held: Reservation, more: Amounts, wanted: Sequence[int], outcome: Held | Short
    ) -> Reservation | Exceeded:
        if isinstance(outcome, Short):
            return _exceeded(outcome, held.limits, held.takes, wanted)
        total = Amounts(
            held.amounts.input_tokens + more.input_tokens,
            held.amounts.output_tokens + more.output_tokens,
            held.amounts.nusd + more.nusd,
            held.amounts.requests + more.requests,
        )
        extended = replace(held, remaining=outcome.remaining, amounts=total)
        if held.call_id in self._open:
            self._open[held.call_id] = extended
        return extended

    async def settle(self, held: Reservation, true: Amounts, *, instead: Mapping[str, Amounts] | None = None) -> bool:
        """End a reservation at what it came to; return whether it was open.  `instead`: what some subjects are charged.

        If the store does not answer, the call counts as held until it does.
        """
        if self._open.pop(held.call_id, None) is None:
            return False
        amounts = _amounts(held.takes, true, instead)
        if not amounts:
            return True
        try:
            was_open = await come(self._store_of(held).settle(held.call_id, amounts))
        except StoreError:
            self._owed[held.call_id] = amounts
            return True
        for tell in tuple(self.on_settled):
            tell(held)
        return was_open

    async def tend(self) -> Sequence[Expired]:
        """Do what needs doing once a second: renew leases, settle what is owed, end what has run out.  Raises StoreError."""
        self._local.tend()
        now_s = self._steady_s()
        if now_s - self._renewed_s >= RENEW_S:
            self._local.renew([c for c, held in self._open.items() if held.branch == "local"], LEASE_S)
            running = [c for c, held in self._open.items() if held.branch == "store" and held.takes]
            await come(self.store.renew([*running, *self._owed], LEASE_S))
            self._renewed_s = now_s
        for call_id, amounts in list(self._owed.items()):
            await come(self.store.settle(call_id, amounts))
            del self._owed[call_id]
        return await come(self.store.tend())

    @property
    def open_count(self) -> int:
        """How many reservations of this process are not settled."""
        return len(self._open) + len(self._owed)

    def usage(self, user: str, model: str, *, daily_tokens: int | None = None) -> Soon[dict[str, int | float]]:
        """Return what a user has taken lately, of one model or all, by the names of the facts; costs in dollars.

        `daily_tokens` is what the user may take in a day, if that is limited.
        """
        counters = meters(user, model)
        counts = self.store.usage(list(counters.values()))
        if isinstance(counts, Sequence):
            return _told(counters, counts, daily_tokens)
        return _told_later(counters, counts, daily_tokens)

    @property
    def answers_later(self) -> bool:
        """Whether the store has to be waited for."""
        return inspect.iscoroutinefunction(self.store.usage)

    async def counts(self, limits: Sequence[Limit]) -> Sequence[Count]:
        """Return what is taken and held under limits, as of now.  Raises StoreError."""
        at_s = self.wall_s()
        return await come(self.store.usage([limit.counter(at_s) for limit in limits]))

    async def standing_of(self, held: Reservation, takes: Sequence[Take]) -> Sequence[Count]:
        """Return what is taken and held of counters that a call has taken of.  Raises StoreError."""
        return await come(self._store_of(held).usage([take.counter for take in takes]))

    async def lacking(self, limits: Sequence[Limit], amounts: Amounts) -> Limit | None:
        """Return a limit under which amounts could not be taken now, taking nothing.  Raises StoreError."""
        for limit, count in zip(limits, await self.counts(limits), strict=True):
            if count.taken + amounts.of(limit.kind.unit) > limit.most:
                return limit
        return None

    async def reset(self, limits: Sequence[Limit]) -> None:
        """Forget what was taken under limits, but for what runs.  Raises StoreError."""
        at_s = self.wall_s()
        await come(self.store.reset([limit.counter(at_s) for limit in limits]))

    async def first(self, counter: Counter) -> bool:
        """Whether nobody has asked this of a counter in its window before.  Raises StoreError."""
        name = f"{counter.series} {counter.subject} {self.wall_s()}"
        outcome: Held | Short = await come(self.store.reserve(name, [Take(counter, 1, 1)], LEASE_S))
        if isinstance(outcome, Short):
            return False
        await come(self.store.settle(name, [1]))
        return True

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


def _exceeded(short: Short, limits: Sequence[Limit], takes: Sequence[Take], wanted: Sequence[int]) -> Exceeded:
    last = short.last
    every = {limits[number]: lack.retry_after_s for number, lack in short.lacking.items()}
    held_back = frozenset(
        limits[number]
        for number, lack in short.lacking.items()
        if limits[number].kind.unit in COME_BACK and lack.settled + wanted[number] <= takes[number].cap
    )
    lack = short.lacking[last]
    standing = Standing(limits[last], takes[last], lack.remaining)
    return Exceeded(limits[last], lack.retry_after_s, every, held_back, standing)


def _amounts(takes: Iterable[Take], amounts: Amounts, instead: Mapping[str, Amounts] | None) -> tuple[int, ...]:
    """Return amounts in the order of takes; some subjects have their own."""
    other = instead or {}
    return tuple(other.get(take.counter.subject, amounts).of(take.counter.unit) for take in takes)


async def _told_later(
    counters: Mapping[str, Counter], counts: Awaitable[Sequence[Count]], daily_tokens: int | None
) -> dict[str, int | float]:
    return _told(counters, await counts, daily_tokens)


def _told(counters: Mapping[str, Counter], counts: Sequence[Count], daily_tokens: int | None) -> dict[str, int | float]:
    found: dict[str, int | float] = {
        name: count.taken / NANO_PER_USD if counter.unit == "nusd" else count.taken
        for (name, counter), count in zip(counters.items(), counts, strict=True)
    }
    if daily_tokens is not None:
        found["daily_tokens_remaining"] = max(0, daily_tokens - int(found["daily_token_usage"]))
    return found
