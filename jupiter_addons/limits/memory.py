"""The store of one process: counters in its memory, gone when it ends.

One synchronous function on one event loop is atomic without a lock: it checks everything, and only then takes anything.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.store import (
    REMEMBERED_S,
    Count,
    Counter,
    Expired,
    Held,
    Short,
    Shortage,
    Slots,
    Take,
    Taken,
)
from jupiter_addons.limits.tables import NS, Table, table_of

MAX_SUBJECTS = 1_000_000
"""With so many subjects in a series, those that a client may have made up are counted together."""


@dataclass(slots=True, eq=False)
class _Hold:
    """What an open call has taken; lists and tuples are in the order of its takes."""

    held: Held
    takes: Sequence[Take]
    subjects: list[str]
    """As they are counted: the counters' own, or their crowds."""
    marks: list[int]
    until_ns: int
    more: list[tuple[int, int, int]]
    """What was taken since: number of the take, mark, amount."""

    def amount(self, number: int) -> int:
        """Return how much is held of a take's counter."""
        return self.takes[number].amount + sum(amount for which, _, amount in self.more if which == number)


class MemoryStore:
    """See `store.Store` for the contract."""

    def __init__(
        self,
        steady_ns: Callable[[], int] = time.monotonic_ns,
        wall_s: Callable[[], float] = time.time,
        max_subjects: int = MAX_SUBJECTS,
    ) -> None:
        self._steady_ns = steady_ns
        self._wall_s = wall_s
        self._max_subjects = max_subjects
        self._tables: dict[str, Table] = {}
        self._open: dict[str, _Hold] = {}
        self._over: dict[str, _Hold] = {}
        """Calls whose lease has run out, oldest first; `until_ns` is when they are forgotten."""

    def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float) -> Held | Short:
        """Take everything or nothing."""
        if (known := self._open.get(call_id)) is not None:
            return known.held
        now_ns = self._steady_ns()
        tables: list[Table] = []
        subjects: list[str] = []
        remaining: list[int] = []
        lacking: dict[int, Shortage] = {}
        for counter, amount, cap, _ in takes:
            table, subject = self._tables.get(counter.series), counter.subject
            if table is None:
                table = self._table(counter)
            taken = table.taken(subject, now_ns)
            if counter.crowd is not None and not taken and len(table) >= self._max_subjects:
                subject = counter.crowd
                taken = table.taken(subject, now_ns)
            left = cap - taken - amount
            if left < 0:
                lacking[len(tables)] = table.shortage(subject, amount, cap, now_ns)
            tables.append(table)
            subjects.append(subject)
            remaining.append(left)
        if lacking:
            return Short(lacking)
        marks = [
            table.add(subject, take[1], now_ns, take[3])
            for table, subject, take in zip(tables, subjects, takes, strict=True)
        ]
        held = Held(call_id, tuple(remaining))
        self._open[call_id] = _Hold(held, takes, subjects, marks, now_ns + int(lease_s * NS), [])
        return held

    def _table(self, counter: Counter) -> Table:
        table = self._tables.get(counter.series)
        if table is None:
            table = self._tables[counter.series] = table_of(counter.shape, self._wall_s)
        return table

    def extend(self, call_id: str, more: Sequence[int]) -> Held | Short:
        """Take more, or nothing."""
        hold = self._open.get(call_id)
        if hold is None:
            raise StoreError("a call that is not open cannot take more")
        now_ns = self._steady_ns()
        wanted = [(n, self._table(hold.takes[n].counter), amount) for n, amount in enumerate(more) if amount]
        remaining, lacking = list(hold.held.remaining), {}
        for number, table, amount in wanted:
            subject, cap = hold.subjects[number], hold.takes[number].cap
            remaining[number] = cap - table.taken(subject, now_ns) - amount
            if remaining[number] < 0:
                lacking[number] = table.shortage(subject, amount, cap, now_ns)
        if lacking:
            return Short(lacking)
        for number, table, amount in wanted:
            mark = table.add(hold.subjects[number], amount, now_ns, hold.takes[number].rate)
            hold.more.append((number, mark, amount))
        hold.held = Held(call_id, tuple(remaining))
        return hold.held

    def settle(self, call_id: str, amounts: Sequence[int]) -> bool:
        """End a call at what it truly came to."""
        hold = self._open.pop(call_id, None)
        late = hold is None and (hold := self._over.pop(call_id, None)) is not None
        if hold is None:
            return False
        now_ns = self._steady_ns()
        for number, (take, due) in enumerate(zip(hold.takes, amounts, strict=True)):
            if take[0].shape.__class__ is Slots:
                if late:
                    continue
                due = 0
            change = due - (hold.amount(number) if hold.more else take[1])
            if change:
                self._correct(hold, number, change, now_ns)
        return True

    def _correct(self, hold: _Hold, number: int, change: int, now_ns: int) -> None:
        """Count what a call has taken too little, or give back what it has taken too much, the latest first."""
        table, subject = self._table(hold.takes[number].counter), hold.subjects[number]
        if change > 0:
            table.add(subject, change, now_ns)
            return
        puts = [(hold.marks[number], hold.takes[number].amount)]
        puts += [(mark, amount) for which, mark, amount in hold.more if which == number]
        while change < 0:
            mark, amount = puts.pop()
            back = min(amount, -change)
            table.take_back(subject, mark, back)
            change += back

    def renew(self, call_ids: Iterable[str], lease_s: float) -> Sequence[str]:
        """Let leases last from now; return the calls that were not open any more."""
        until_ns = self._steady_ns() + int(lease_s * NS)
        lost = []
        for call_id in call_ids:
            if (hold := self._open.get(call_id)) is not None:
                hold.until_ns = until_ns
            else:
                lost.append(call_id)
        return lost

    def tend(self, most: int = 1000) -> Sequence[Expired]:
        """End what has run out, and forget what is empty."""
        now_ns = self._steady_ns()
        ended = [call_id for call_id, hold in self._open.items() if hold.until_ns <= now_ns][:most]
        found = [self._expire(call_id, now_ns) for call_id in ended]
        while self._over and (oldest := next(iter(self._over))) and self._over[oldest].until_ns <= now_ns:
            del self._over[oldest]
        for series, table in list(self._tables.items()):
            table.idle(most, now_ns)
            if table.is_over and not len(table):
                del self._tables[series]
        return found

    def _expire(self, call_id: str, now_ns: int) -> Expired:
        hold = self._over[call_id] = self._open.pop(call_id)
        hold.until_ns = now_ns + REMEMBERED_S * NS
        for number, take in enumerate(hold.takes):
            if take.counter.shape.__class__ is Slots:
                self._correct(hold, number, -take.amount, now_ns)
        return Expired(call_id, tuple((take.counter, hold.amount(n)) for n, take in enumerate(hold.takes)))

    def usage(self, counters: Sequence[Counter]) -> Sequence[Count]:
        """Return what counters hold."""
        now_ns = self._steady_ns()
        return [
            Count(
                0 if (table := self._tables.get(counter.series)) is None else table.taken(counter.subject, now_ns),
                sum(hold.amount(number) for hold, number in self._held_of(counter)),
            )
            for counter in counters
        ]

    def _held_of(self, counter: Counter) -> Iterator[tuple[_Hold, int]]:
        for hold in self._open.values():
            for number, (take, subject) in enumerate(zip(hold.takes, hold.subjects, strict=True)):
                if subject == counter.subject and take.counter.series == counter.series:
                    yield hold, number

    def adjust(self, counter: Counter, change: int) -> None:
        """Count so much more, or less."""
        now_ns = self._steady_ns()
        table = self._table(counter)
        if change >= 0:
            table.add(counter.subject, change, now_ns)
        else:
            table.lessen(counter.subject, -change, now_ns)

    def reset(self, counters: Sequence[Counter]) -> None:
        """Forget what was taken, except what open calls hold."""
        now_ns = self._steady_ns()
        for counter in counters:
            table = self._table(counter)
            table.clear(counter.subject)
            for hold, number in self._held_of(counter):
                rate = hold.takes[number].rate
                hold.marks[number] = table.add(counter.subject, hold.takes[number].amount, now_ns, rate)
                hold.more = [
                    (which, table.add(counter.subject, amount, now_ns, rate) if which == number else mark, amount)
                    for which, mark, amount in hold.more
                ]

    def restore(self, taken: Iterable[Taken]) -> None:
        """Count what the evidence says was taken."""
        if self._tables or self._open:
            raise StoreError("only a store that has counted nothing can be restored")
        now_ns = self._steady_ns()
        for counter, amount, age_s in sorted(taken, key=lambda one: -one.age_s):
            self._table(counter).add(counter.subject, amount, now_ns - int(age_s * NS))

    def open_calls(self) -> int:
        """Return how many calls are not settled."""
        return len(self._open)

    def close(self) -> None:
        """Forget everything."""
        self._tables.clear()
        self._open.clear()
        self._over.clear()
