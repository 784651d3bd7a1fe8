"""What every store of counters promises: memory, one SQLite file, one Redis.

A call takes from all its counters in one step or from none, under an id of its own; it may take more while it runs, and it is
settled once, at what it truly came to.  What a store does not know: who a subject is, what is counted, what a limit is for.

*Time.*  How long a window or a lease lasts is measured by the store's own steady clock, so that a wall clock set back or
forward moves no limit.  Which calendar period a call belongs to is decided by whoever takes, before taking; a store only
forgets periods that have ended.

*Sync or not.*  A store in this process answers at once, one across a socket answers with an awaitable: the methods return
`Soon`, and a caller that has to wait anyway says `await come(…)`.  Making the fast path wait for a task switch would cost
more than all its counting.

*Numbers.*  Amounts and caps are whole and below 2^53, because Redis counts in doubles.  A cap is not part of a counter's name:
changing it keeps the count.

*Faults.*  Every method raises StoreError if the store cannot answer; then nothing was taken, or it is given back when the
lease runs out.
"""

import math
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, cast

MAX_AMOUNT = 2**53 - 1
"""The largest amount, and the largest cap: nine million dollars in nano-dollars."""
BUCKETS = 10
"""A sliding window is cut into so many sub-buckets, and one more that is leaving it and still counts in full."""
REMEMBERED_S = 86_400
"""So long after its lease has run out a call can still be settled."""

type Soon[T] = T | Awaitable[T]
"""An answer, or the promise of one."""


async def come[T](answer: Soon[T]) -> T:
    """Return an answer, when it has come."""
    return await cast(Awaitable[T], answer) if hasattr(answer, "__await__") else answer


@dataclass(frozen=True, slots=True)
class Sliding:
    """What was taken in the last `window_s` seconds.

    Counted in `BUCKETS` + 1 sub-buckets, the oldest one in full until it has left entirely: no window of that length, wherever
    it starts, holds more than the cap; a refusal may come one sub-bucket early.
    """

    window_s: int

    def __str__(self) -> str:
        """Print the length of the window."""
        return f"{self.window_s}s"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that holds `Take.cap` units, and refills at `Take.rate` units in `window_s` seconds.

    In any such time it lets through no more than the cap and the rate together.  What was taken stays taken.
    """

    window_s: int

    def __str__(self) -> str:
        """Print the time in which the rate refills."""
        return f"{self.window_s}s-bucket"


@dataclass(frozen=True, slots=True)
class Period:
    """What was taken in one period of a calendar, or ever."""

    key: str
    """Names the period and the zone it is of: `2026-03@Europe/Berlin`."""
    ends_s: float | None
    """When it ends, in seconds since 1970; None if it never does."""

    def __str__(self) -> str:
        """Print the name of the period."""
        return self.key


@dataclass(frozen=True, slots=True)
class Slots:
    """How many calls run now.  A slot is given back when its call is settled, or its lease runs out."""

    def __str__(self) -> str:
        """Print what is counted."""
        return "running"


type Shape = Sliding | Bucket | Period | Slots


@dataclass(frozen=True, slots=True)
class Counter:
    """One thing that is counted; made once, used for many calls."""

    subject: str
    """What is counted together: `user:alice`, `team:lab`, `model:gpt-4o`, `global`; a rule's key."""
    unit: str
    """What is counted: `requests`, `tokens`, `nusd`."""
    shape: Shape
    crowd: str | None = field(default=None, compare=False)
    """The subject it is counted under once a store has too many: clients may be able to make up as many as they like."""
    series: str = field(init=False, compare=False)
    """Unit and shape: with the subject, the counter's name."""

    def __post_init__(self) -> None:
        """Work out the name."""
        object.__setattr__(self, "series", f"{self.unit}/{self.shape}")


class Take(NamedTuple):
    """What a call wants of one counter."""

    counter: Counter
    amount: int
    cap: int = MAX_AMOUNT
    """The most that may be taken, this amount included."""
    rate: int = 0
    """Of a bucket: how much of it refills in its window."""


class Shortage(NamedTuple):
    """Why a counter could not give what was asked of it."""

    remaining: int
    retry_after_s: float
    """In how many seconds it could, if nothing more is taken; infinite if it never can: the amount alone is beyond the cap."""
    settled: int
    """What counts even if all that is held came back."""


@dataclass(frozen=True, slots=True)
class Held:
    """All was taken."""

    call_id: str
    remaining: tuple[int, ...]
    """What is left of each cap, in the order of the takes."""


@dataclass(frozen=True, slots=True)
class Short:
    """Nothing was taken."""

    lacking: Mapping[int, Shortage]
    """Number of a take -> why it could not be met; every one that could not."""

    @property
    def last(self) -> int:
        """The take that can be met last: a client that waits for it is admitted, unless others were faster."""
        return max(self.lacking, key=lambda number: self.lacking[number].retry_after_s)

    @property
    def retry_after_s(self) -> float:
        """In how many seconds all could be taken."""
        return max((lack.retry_after_s for lack in self.lacking.values()), default=math.inf)


class Expired(NamedTuple):
    """A call whose lease has run out: all it held counts as taken, unless it is settled after all; its slots are free."""

    call_id: str
    takes: tuple[tuple[Counter, int], ...]
    """Each counter, and how much of it was held."""


class Count(NamedTuple):
    """What a counter holds."""

    taken: int
    """Settled and held together."""
    held: int
    """By calls that are not settled."""


class Taken(NamedTuple):
    """What was taken some time ago, as the evidence has it."""

    counter: Counter
    amount: int
    age_s: float


class Store(Protocol):
    """See the module for what holds of all methods."""

    def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float) -> Soon[Held | Short]:
        """Take everything or nothing.  Asked again for a call that is open, return what it was given, and take nothing.

        The hold lasts until the call is settled, or its lease has run out.  Ids are never used for another call.
        """

    def extend(self, call_id: str, more: Sequence[int]) -> Soon[Held | Short]:
        """Take more of each counter, in the order of the takes, or nothing; what is taken counts from now.

        Raises StoreError if the call is not open.
        """

    def settle(self, call_id: str, amounts: Sequence[int]) -> Soon[bool]:
        """End a call at what it truly came to, in the order of the takes; return whether it was this that ended it.

        What was held beyond that goes back to where it was taken from; what was not held and is due is taken whatever the cap.
        A call whose lease ran out less than `REMEMBERED_S` ago is settled as if it had not; a call that is settled stays so.
        Slots are given back whatever their amount, and what was taken from a bucket is not.
        """

    def renew(self, call_ids: Iterable[str], lease_s: float) -> Soon[Sequence[str]]:
        """Let leases last that long from now; return the calls that were not open any more."""

    def tend(self, most: int = 1000) -> Soon[Sequence[Expired]]:
        """End what has run out and forget what is empty, no more than about `most` things; return the calls that ended so.

        Each is returned once, to whichever process asked first.
        """

    def usage(self, counters: Sequence[Counter]) -> Soon[Sequence[Count]]:
        """Return what counters hold."""

    def adjust(self, counter: Counter, change: int) -> Soon[None]:
        """Count so much more, or less, as of now; never less than nothing."""

    def reset(self, counters: Sequence[Counter]) -> Soon[None]:
        """Forget what was taken from counters, except what open calls hold."""

    def restore(self, taken: Iterable[Taken]) -> Soon[None]:
        """Count what the evidence says was taken, in a store that has lost it.  Raises StoreError unless it is empty."""

    def open_calls(self) -> Soon[int]:
        """Return how many calls are not settled."""

    def close(self) -> None:
        """Let go of everything."""
