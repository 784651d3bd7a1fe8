"""How a store counts, whatever it keeps its books in: everything is checked, and only then anything is taken.

The books are in memory or in a database; what is written here has to happen in one step, which whoever keeps the books sees to:
one synchronous function on one event loop is atomic without a lock, and a database has transactions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from jupiter_addons.errors import StoreError
from jupiter_addons.limits.store import Count, Counter, Expired, Held, Short, Shortage, Slots, Take, Taken
from jupiter_addons.limits.tables import NS, Table

FORGOTTEN = -1
"""The mark of an amount that was counted, and does not count since a reset: nothing of it can be given back."""
MAX_SUBJECTS = 1_000_000
"""With so many subjects in a series, those that a client may have made up are counted together."""


@dataclass(slots=True, eq=False)
class Hold:
    """What an open call has taken; lists and tuples are in the order of its takes."""

    held: Held
    takes: Sequence[Take]
    subjects: list[str]
    """As they are counted: the counters' own, or their crowds."""
    marks: list[int]
    until_ns: int
    """When its lease runs out; of a call whose lease has run out, when it is forgotten."""
    more: list[tuple[int, int, int]]
    """What was taken since: number of the take, mark, amount."""
    counted: int = 0
    """How many of these the books have counted as held, if they keep that apart."""

    def amount(self, number: int) -> int:
        """Return how much is held of a take's counter."""
        return self.takes[number].amount + sum(amount for which, _, amount in self.more if which == number)


class Books(Protocol):
    """Where tables and holds are kept.  A hold is given back to `put` whenever it was changed."""

    def table(self, counter: Counter) -> Table:
        """Return the table of a counter's series, an empty one if there is none."""

    def hold(self, call_id: str, ahead: Sequence[Take] = ()) -> Hold | None:
        """Return the hold of an open call; `ahead`: what will be looked at next, if it has none."""

    def put(self, hold: Hold) -> None:
        """Keep the hold of an open call."""

    def end(self, call_id: str) -> tuple[Hold, bool] | None:
        """Forget a call; return its hold and whether its lease had run out, or None if it is not known."""

    def expire(self, now_ns: int, most: int) -> Sequence[Hold]:
        """Return up to `most` holds of open calls whose lease has run out; from now on it has."""

    def held(self, counter: Counter, subject: str) -> int:
        """Return how much open calls hold of a subject that is counted as a counter says."""

    def holds(self) -> Iterator[Hold]:
        """Yield every hold of an open call."""

    def over(self) -> Iterator[Hold]:
        """Yield every hold of a call whose lease has run out, and that is not forgotten."""

    def put_over(self, hold: Hold) -> None:
        """Keep the hold of a call whose lease has run out."""

    def tidy(self, now_ns: int, most: int) -> None:
        """Forget up to about `most` things that do not matter any more."""

    @property
    def open_calls(self) -> int:
        """How many calls are open."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever counted."""


class Counting:
    """The methods of a `store.Store`, in books."""

    def __init__(self, books: Books, steady_ns: Callable[[], int], max_subjects: int = MAX_SUBJECTS) -> None:
        self._books = books
        self._steady_ns = steady_ns
        self._max_subjects = max_subjects

    def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float) -> Held | Short:
        """Take everything or nothing."""
        books = self._books
        if (known := books.hold(call_id, takes)) is not None:
            return known.held
        now_ns = self._steady_ns()
        tables: list[Table] = []
        subjects: list[str] = []
        remaining: list[int] = []
        lacking: dict[int, Shortage] = {}
        for counter, amount, cap, _ in takes:
            table, subject = books.table(counter), counter.subject
            taken = table.taken(subject, now_ns)
            if counter.crowd is not None and not taken and len(table) >= self._max_subjects:
                subject = counter.crowd
                taken = table.taken(subject, now_ns)
            left = cap - taken - amount
            if left < 0:
                lacking[len(tables)] = table.shortage(subject, amount, cap, now_ns, books.held(counter, subject))
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
        books.put(Hold(held, takes, subjects, marks, now_ns + int(lease_s * NS), []))
        return held

    def extend(self, call_id: str, more: Sequence[int]) -> Held | Short:
        """Take more, or nothing."""
        hold = self._books.hold(call_id)
        if hold is None:
            raise StoreError("a call that is not open cannot take more")
        now_ns = self._steady_ns()
        wanted = [(n, self._books.table(hold.takes[n].counter), amount) for n, amount in enumerate(more) if amount]
        remaining, lacking = list(hold.held.remaining), {}
        for number, table, amount in wanted:
            subject, cap = hold.subjects[number], hold.takes[number].cap
            remaining[number] = cap - table.taken(subject, now_ns) - amount
            if remaining[number] < 0:
                held = self._books.held(hold.takes[number].counter, subject)
                lacking[number] = table.shortage(subject, amount, cap, now_ns, held)
        if lacking:
            return Short(lacking)
        for number, table, amount in wanted:
            mark = table.add(hold.subjects[number], amount, now_ns, hold.takes[number].rate)
            hold.more.append((number, mark, amount))
        hold.held = Held(call_id, tuple(remaining))
        self._books.put(hold)
        return hold.held

    def settle(self, call_id: str, amounts: Sequence[int]) -> bool:
        """End a call at what it truly came to."""
        known = self._books.end(call_id)
        if known is None:
            return False
        hold, late = known
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

    def _correct(self, hold: Hold, number: int, change: int, now_ns: int) -> None:
        """Count what a call has taken too little, or give back what it has taken too much, the latest first."""
        table, subject = self._books.table(hold.takes[number].counter), hold.subjects[number]
        if change > 0:
            table.add(subject, change, now_ns)
            return
        puts = [(hold.marks[number], hold.takes[number].amount)]
        puts += [(mark, amount) for which, mark, amount in hold.more if which == number]
        while change < 0:
            mark, amount = puts.pop()
            back = min(amount, -change)
            if mark != FORGOTTEN:
                table.take_back(subject, mark, back)
            change += back

    def renew(self, call_ids: Iterable[str], lease_s: float) -> Sequence[str]:
        """Let leases last from now; return the calls that were not open any more."""
        until_ns = self._steady_ns() + int(lease_s * NS)
        lost = []
        for call_id in call_ids:
            if (hold := self._books.hold(call_id)) is not None:
                hold.until_ns = until_ns
                self._books.put(hold)
            else:
                lost.append(call_id)
        return lost

    def tend(self, most: int = 1000) -> Sequence[Expired]:
        """End what has run out, and forget what is empty."""
        now_ns = self._steady_ns()
        found = [self._expired(hold, now_ns) for hold in self._books.expire(now_ns, most)]
        self._books.tidy(now_ns, most)
        return found

    def _expired(self, hold: Hold, now_ns: int) -> Expired:
        for number, take in enumerate(hold.takes):
            if take.counter.shape.__class__ is Slots:
                self._correct(hold, number, -take.amount, now_ns)
        takes = tuple((take.counter, hold.amount(number)) for number, take in enumerate(hold.takes))
        return Expired(hold.held.call_id, takes)

    def usage(self, counters: Sequence[Counter]) -> Sequence[Count]:
        """Return what counters hold."""
        now_ns, books = self._steady_ns(), self._books
        return [Count(books.table(one).taken(one.subject, now_ns), books.held(one, one.subject)) for one in counters]

    def adjust(self, counter: Counter, change: int) -> None:
        """Count so much more, or less."""
        now_ns = self._steady_ns()
        table = self._books.table(counter)
        if change >= 0:
            table.add(counter.subject, change, now_ns)
        else:
            table.lessen(counter.subject, -change, now_ns)

    def reset(self, counters: Sequence[Counter]) -> None:
        """Forget what was taken, except what open calls hold."""
        now_ns, books = self._steady_ns(), self._books
        held = {(one.series, one.subject) for one in counters if books.held(one, one.subject)}
        for counter in counters:
            books.table(counter).clear(counter.subject)
        for hold in books.holds() if held else ():
            if numbers := _takes_of(hold, held):
                for number in numbers:
                    self._put_again(hold, number, now_ns)
                books.put(hold)
        names = {(one.series, one.subject) for one in counters}
        for hold in books.over():
            if numbers := _takes_of(hold, names):
                for number in numbers:
                    hold.marks[number] = FORGOTTEN
                hold.more = [(which, FORGOTTEN if which in numbers else mark, n) for which, mark, n in hold.more]
                books.put_over(hold)

    def _put_again(self, hold: Hold, number: int, now_ns: int) -> None:
        """Take what a call holds of a counter as if it took it now."""
        (counter, amount, _, rate), subject = hold.takes[number], hold.subjects[number]
        table = self._books.table(counter)
        hold.marks[number] = table.add(subject, amount, now_ns, rate)
        hold.more = [
            (which, table.add(subject, more, now_ns, rate) if which == number else mark, more)
            for which, mark, more in hold.more
        ]

    def restore(self, taken: Iterable[Taken]) -> None:
        """Count what the evidence says was taken."""
        if not self._books.is_empty:
            raise StoreError("only a store that has counted nothing can be restored")
        now_ns = self._steady_ns()
        for counter, amount, age_s in sorted(taken, key=lambda one: -one.age_s):
            self._books.table(counter).add(counter.subject, amount, now_ns - int(age_s * NS))

    def open_calls(self) -> int:
        """Return how many calls are not settled."""
        return self._books.open_calls


def _takes_of(hold: Hold, names: Set[tuple[str, str]]) -> list[int]:
    """Return the numbers of a hold's takes that are of some counters, named by series and subject."""
    places = zip(hold.takes, hold.subjects, strict=True)
    return [number for number, (take, subject) in enumerate(places) if (take[0].series, subject) in names]
