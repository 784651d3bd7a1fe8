"""Counters of one kind: subject -> what was taken, one table for each way to count.

How states are kept is told apart from what they mean: `states` keeps them in memory, and a store on disk in rows of its own.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from jupiter_addons.limits.states import Forever, Halves, States
from jupiter_addons.limits.store import BUCKETS, Bucket, Period, Shape, Shortage, Sliding, Slots

NS = 1_000_000_000
GRACE_S = 86_400.0
"""So long a period is kept after its end, for clocks that are not set alike."""
NO_MARK = 0
ALWAYS_NS = 2**63 - 1
"""Later than any time."""


class Table(ABC):
    """Counters of one kind.  Times are of the store's steady clock, in nanoseconds; a mark says where an amount was put."""

    __slots__ = ()

    def shortage(self, subject: str, amount: int, cap: int, now_ns: int, held: int) -> Shortage:
        """Return why an amount that does not fit under the cap cannot be taken, if so much of what counts is only held."""
        taken = self.taken(subject, now_ns)
        wait_ns = None if amount > cap else self.wait_ns(subject, taken + amount - cap, now_ns)
        retry_after_s = math.inf if wait_ns is None else max(0, wait_ns) / NS
        return Shortage(max(0, cap - taken), retry_after_s, max(0, taken - held))

    @abstractmethod
    def taken(self, subject: str, now_ns: int) -> int:
        """Return what counts now."""

    @abstractmethod
    def wait_ns(self, subject: str, excess: int, now_ns: int) -> int | None:
        """Return in how many nanoseconds `excess` of what counts now no longer will; None if it always will."""

    @abstractmethod
    def add(self, subject: str, amount: int, now_ns: int, rate: int = 0) -> int:
        """Count an amount, whatever the cap; return its mark."""

    @abstractmethod
    def take_back(self, subject: str, mark: int, amount: int) -> None:
        """Count an amount no longer, where it still counts."""

    @abstractmethod
    def lessen(self, subject: str, amount: int, now_ns: int) -> None:
        """Count so much less, wherever it was put; never less than nothing."""

    @abstractmethod
    def clear(self, subject: str) -> None:
        """Forget a subject."""

    @abstractmethod
    def idle(self, most: int, now_ns: int) -> None:
        """Forget up to `most` subjects of which nothing counts."""

    def until_ns(self, state: Any) -> int:
        """Return when a state that is kept will not matter any more, if nobody takes more; None is no state."""
        return ALWAYS_NS

    @property
    def is_over(self) -> bool:
        """Whether nobody will ever take from here again."""
        return False

    @abstractmethod
    def __len__(self) -> int:
        """Return how many subjects are kept."""


type Pairs = tuple[int, ...]
"""What counts in all, then number and amount of each sub-bucket, oldest first."""


class SlidingTable(Table):
    """Windows that never admit too much; see `store.Sliding`."""

    __slots__ = ("_number", "_states", "_step_ns")

    def __init__(self, window_s: int, states: States[Pairs] | None = None) -> None:
        self._step_ns = -(-window_s * NS // BUCKETS)
        self._states: States[Pairs] = Halves((BUCKETS + 1) * self._step_ns) if states is None else states
        self._number = 0

    def _now(self, subject: str, now_ns: int) -> Pairs | None:
        """Return the state of a subject without what has left the window."""
        state = self._states.get(subject)
        if state is None:
            return None
        oldest = now_ns // self._step_ns - BUCKETS
        if state[1] >= oldest:
            return state
        total, at = state[0], 1
        while at < len(state) and state[at] < oldest:
            total -= state[at + 1]
            at += 2
        return (total, *state[at:]) if at < len(state) else None

    def taken(self, subject: str, now_ns: int) -> int:
        """Return what counts now."""
        state = self._now(subject, now_ns)
        return 0 if state is None else state[0]

    def wait_ns(self, subject: str, excess: int, now_ns: int) -> int | None:
        """Return when `excess` of what counts now will have left the window."""
        state = self._now(subject, now_ns) or (0,)
        for at in range(1, len(state), 2):
            excess -= state[at + 1]
            if excess <= 0:
                return self._gone_ns(state[at]) - now_ns
        return (BUCKETS + 1) * self._step_ns

    def add(self, subject: str, amount: int, now_ns: int, rate: int = 0) -> int:
        """Count an amount; return the number of its sub-bucket."""
        number = now_ns // self._step_ns
        if number == self._number:
            number = self._number  # one object for all subjects: a million of them would be 32 MB
        else:
            self._number = number
        state = self._states.get(subject)
        if state is not None and state[1] < number - BUCKETS:
            state = self._now(subject, now_ns)
        if state is None:
            state = (amount, number, amount)
        elif state[-2] >= number:  # not below: a steady clock stands still at most
            state = (state[0] + amount, *state[1:-1], state[-1] + amount)
        else:
            state = (state[0] + amount, *state[1:], number, amount)
        self._states.put(subject, state)
        return number

    def take_back(self, subject: str, mark: int, amount: int) -> None:
        """Take an amount out of its sub-bucket; one that has left is left alone."""
        state = self._states.get(subject)
        if state is None:
            return
        for at in range(1, len(state), 2):
            if state[at] == mark:
                back = min(amount, state[at + 1])
                pairs = (*state[1 : at + 1], state[at + 1] - back, *state[at + 2 :])
                self._states.put(subject, (state[0] - back, *pairs))
                return

    def lessen(self, subject: str, amount: int, now_ns: int) -> None:
        """Take an amount out of the oldest sub-buckets."""
        pairs = (self._now(subject, now_ns) or (0,))[1:]
        for mark, inside in zip(pairs[::2], pairs[1::2], strict=True):
            self.take_back(subject, mark, min(amount, inside))
            amount -= min(amount, inside)

    def clear(self, subject: str) -> None:
        """Forget a subject."""
        self._states.drop(subject)

    def _gone_ns(self, number: int) -> int:
        return (number + BUCKETS + 1) * self._step_ns

    def until_ns(self, state: Pairs | None) -> int:
        """Return when the last sub-bucket will have left."""
        return 0 if state is None else self._gone_ns(state[-2])

    def idle(self, most: int, now_ns: int) -> None:
        """Forget windows that are empty."""
        self._states.idle(most, now_ns)

    def __len__(self) -> int:
        """Return how many subjects are kept."""
        return len(self._states)


class PeriodTable(Table):
    """What was taken in one period."""

    __slots__ = ("_ends_s", "_taken", "_wall_s")

    def __init__(self, ends_s: float | None, wall_s: Callable[[], float], states: States[int] | None = None) -> None:
        self._ends_s = ends_s
        self._wall_s = wall_s
        self._taken: States[int] = Forever() if states is None else states

    def taken(self, subject: str, now_ns: int) -> int:
        """Return what was taken."""
        return self._taken.get(subject) or 0

    def wait_ns(self, subject: str, excess: int, now_ns: int) -> int | None:
        """Return when the period ends."""
        return None if self._ends_s is None else max(0, math.ceil((self._ends_s - self._wall_s()) * NS))

    def add(self, subject: str, amount: int, now_ns: int, rate: int = 0) -> int:
        """Count an amount."""
        self._taken.put(subject, (self._taken.get(subject) or 0) + amount)
        return NO_MARK

    def take_back(self, subject: str, mark: int, amount: int) -> None:
        """Count an amount no longer."""
        self._taken.put(subject, max(0, (self._taken.get(subject) or 0) - amount))

    def lessen(self, subject: str, amount: int, now_ns: int) -> None:
        """Count so much less."""
        self.take_back(subject, NO_MARK, amount)

    def clear(self, subject: str) -> None:
        """Forget a subject."""
        self._taken.drop(subject)

    def idle(self, most: int, now_ns: int) -> None:
        """Forget some of a period that is over."""
        if self.is_over:
            self._taken.idle(most, now_ns)

    @property
    def is_over(self) -> bool:
        """Whether the period has ended long enough ago that nobody will ask."""
        return self._ends_s is not None and self._wall_s() >= self._ends_s + GRACE_S

    def __len__(self) -> int:
        """Return how many subjects are kept."""
        return len(self._taken)


class SlotsTable(Table):
    """How many run now."""

    __slots__ = ("_running",)

    def __init__(self, states: States[int] | None = None) -> None:
        self._running: States[int] = Forever() if states is None else states

    def taken(self, subject: str, now_ns: int) -> int:
        """Return how many run."""
        return self._running.get(subject) or 0

    def wait_ns(self, subject: str, excess: int, now_ns: int) -> int | None:
        """Return when to ask again: nobody knows when a call will end."""
        return NS

    def add(self, subject: str, amount: int, now_ns: int, rate: int = 0) -> int:
        """Take slots."""
        self._running.put(subject, (self._running.get(subject) or 0) + amount)
        return NO_MARK

    def take_back(self, subject: str, mark: int, amount: int) -> None:
        """Give slots back."""
        left = (self._running.get(subject) or 0) - amount
        if left > 0:
            self._running.put(subject, left)
        else:
            self._running.drop(subject)

    def lessen(self, subject: str, amount: int, now_ns: int) -> None:
        """Give slots back, of calls that nobody will settle."""
        self.take_back(subject, NO_MARK, amount)

    def clear(self, subject: str) -> None:
        """Forget a subject."""
        self._running.drop(subject)

    def idle(self, most: int, now_ns: int) -> None:
        """Forget nothing: a subject without a running call is not kept."""

    def __len__(self) -> int:
        """Return how many subjects are kept."""
        return len(self._running)


type Level = tuple[int, int, int]
"""The level, as of when, and the rate it refills at."""


class BucketTable(Table):
    """Token buckets, kept as what has been poured out and not yet refilled, as of the last use.

    The level is in units times the nanoseconds of the window, so that refilling at a whole number of units in a window is
    whole too, and nothing is lost to rounding however often it is asked.
    """

    __slots__ = ("_states", "_window_ns")

    def __init__(self, window_s: int, states: States[Level] | None = None) -> None:
        self._window_ns = window_s * NS
        self._states: States[Level] = Halves(self._window_ns) if states is None else states

    def _level(self, subject: str, now_ns: int) -> int:
        state = self._states.get(subject)
        return 0 if state is None else max(0, state[0] - max(0, now_ns - state[1]) * state[2])

    def taken(self, subject: str, now_ns: int) -> int:
        """Return what is poured out and not refilled, rounded up."""
        return -(-self._level(subject, now_ns) // self._window_ns)

    def wait_ns(self, subject: str, excess: int, now_ns: int) -> int | None:
        """Return when so much, of what is poured out in whole units, will be refilled."""
        state = self._states.get(subject)
        if state is None or not state[2]:
            return None
        level = self._level(subject, now_ns)
        return -(-(level - (self.taken(subject, now_ns) - excess) * self._window_ns) // state[2])

    def add(self, subject: str, amount: int, now_ns: int, rate: int = 0) -> int:
        """Pour out an amount, of a bucket that refills at a rate from now on; 0: at the one it had."""
        state = self._states.get(subject)
        level = self._level(subject, now_ns) + amount * self._window_ns
        rate = rate or (0 if state is None else state[2])
        if rate and level > self._window_ns * rate:
            self._states.last(-(-level // rate))
        self._states.put(subject, (level, now_ns, rate))
        return NO_MARK

    def take_back(self, subject: str, mark: int, amount: int) -> None:
        """Do nothing: what was poured out was let through."""

    def lessen(self, subject: str, amount: int, now_ns: int) -> None:
        """Refill so much."""
        if (state := self._states.get(subject)) is not None:
            self._states.put(subject, (max(0, state[0] - amount * self._window_ns), state[1], state[2]))

    def until_ns(self, state: Level | None) -> int:
        """Return when a bucket will be full."""
        if state is None or not state[0]:
            return 0
        return state[1] - -state[0] // state[2] if state[2] else ALWAYS_NS

    def clear(self, subject: str) -> None:
        """Fill a bucket."""
        self._states.drop(subject)

    def idle(self, most: int, now_ns: int) -> None:
        """Forget buckets that are full."""
        self._states.idle(most, now_ns)

    def __len__(self) -> int:
        """Return how many subjects are kept."""
        return len(self._states)


def table_of(shape: Shape, wall_s: Callable[[], float]) -> Table:
    """Return an empty table of a shape."""
    match shape:
        case Sliding():
            return SlidingTable(shape.window_s)
        case Bucket():
            return BucketTable(shape.window_s)
        case Period():
            return PeriodTable(shape.ends_s, wall_s)
        case Slots():
            return SlotsTable()
