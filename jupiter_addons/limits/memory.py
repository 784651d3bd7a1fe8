"""The store of one process: counters in its memory, gone when it ends."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from jupiter_addons.limits.counting import MAX_SUBJECTS, Counting, Hold
from jupiter_addons.limits.store import REMEMBERED_S, Counter, Take
from jupiter_addons.limits.tables import NS, Table, table_of


class MemoryBooks:
    """See `counting.Books`."""

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self._tables: dict[str, Table] = {}
        self._open: dict[str, Hold] = {}
        self._over: dict[str, Hold] = {}
        """Calls whose lease has run out, oldest first."""
        self._held: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        """Series -> subject -> how much open calls hold; what is nothing is not there."""

    def table(self, counter: Counter) -> Table:
        """Return a table, an empty one if there is none."""
        table = self._tables.get(counter.series)
        if table is None:
            table = self._tables[counter.series] = table_of(counter.shape, self._wall_s)
        return table

    def hold(self, call_id: str, ahead: Sequence[Take] = ()) -> Hold | None:
        """Return an open hold."""
        return self._open.get(call_id)

    def put(self, hold: Hold) -> None:
        """Keep an open hold."""
        call_id, held = hold.held.call_id, self._held
        is_new = call_id not in self._open
        self._open[call_id] = hold
        if is_new:
            for take, subject in zip(hold.takes, hold.subjects, strict=True):
                held[take[0].series][subject] += take[1]
        if hold.more:
            for number, _, amount in hold.more[hold.counted :]:
                held[hold.takes[number].counter.series][hold.subjects[number]] += amount
            hold.counted = len(hold.more)

    def _let_go(self, call_id: str) -> Hold | None:
        """Take an open hold out, and what it holds."""
        hold = self._open.pop(call_id, None)
        if hold is not None:
            for number, _, amount in hold.more:
                self._held[hold.takes[number].counter.series][hold.subjects[number]] -= amount
            for take, subject in zip(hold.takes, hold.subjects, strict=True):
                of = self._held[take[0].series]
                of[subject] = left = of[subject] - take[1]
                if not left:
                    del of[subject]
        return hold

    def end(self, call_id: str) -> tuple[Hold, bool] | None:
        """Forget a call."""
        if (hold := self._let_go(call_id)) is not None:
            return hold, False
        if (hold := self._over.pop(call_id, None)) is not None:
            return hold, True
        return None

    def expire(self, now_ns: int, most: int) -> Sequence[Hold]:
        """Put aside open holds whose lease has run out."""
        found = [hold for hold in self._open.values() if hold.until_ns <= now_ns][:most]
        for hold in found:
            self._let_go(hold.held.call_id)
            self._over[hold.held.call_id] = hold
            hold.until_ns = now_ns + REMEMBERED_S * NS
        return found

    def held(self, counter: Counter, subject: str) -> int:
        """Return how much is held."""
        of = self._held.get(counter.series)
        return 0 if of is None else of.get(subject, 0)

    def holds(self) -> Iterator[Hold]:
        """Yield the open holds."""
        return iter(self._open.values())

    def over(self) -> Iterator[Hold]:
        """Yield the holds whose lease has run out."""
        return iter(self._over.values())

    def put_over(self, hold: Hold) -> None:
        """Keep a hold whose lease has run out."""
        self._over[hold.held.call_id] = hold

    def tidy(self, now_ns: int, most: int) -> None:
        """Forget calls that ended long ago, and tables and subjects that hold nothing."""
        while self._over and (oldest := next(iter(self._over))) and self._over[oldest].until_ns <= now_ns:
            del self._over[oldest]
        for series, table in list(self._tables.items()):
            table.idle(most, now_ns)
            if table.is_over and not len(table):
                del self._tables[series]
        for series in [series for series, of in self._held.items() if not of]:
            del self._held[series]

    @property
    def subjects(self) -> int:
        """How many subjects are kept, in all series."""
        return sum(map(len, self._tables.values()))

    @property
    def open_calls(self) -> int:
        """How many calls are open."""
        return len(self._open)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted."""
        return not self.subjects and not self._open

    def clear(self) -> None:
        """Forget everything."""
        self._tables.clear()
        self._open.clear()
        self._held.clear()
        self._over.clear()


class MemoryStore(Counting):
    """See `store.Store` for the contract."""

    def __init__(
        self,
        steady_ns: Callable[[], int] = time.monotonic_ns,
        wall_s: Callable[[], float] = time.time,
        max_subjects: int = MAX_SUBJECTS,
    ) -> None:
        self.books = MemoryBooks(wall_s)
        super().__init__(self.books, steady_ns, max_subjects)

    def close(self) -> None:
        """Forget everything."""
        self.books.clear()
