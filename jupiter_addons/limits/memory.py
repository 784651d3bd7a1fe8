"""The store of one process: counters in its memory, gone when it ends."""

import time
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
        self._open[hold.held.call_id] = hold

    def end(self, call_id: str) -> tuple[Hold, bool] | None:
        """Forget a call."""
        if (hold := self._open.pop(call_id, None)) is not None:
            return hold, False
        if (hold := self._over.pop(call_id, None)) is not None:
            return hold, True
        return None

    def expire(self, now_ns: int, most: int) -> Sequence[Hold]:
        """Put aside open holds whose lease has run out."""
        found = [hold for hold in self._open.values() if hold.until_ns <= now_ns][:most]
        for hold in found:
            del self._open[hold.held.call_id]
            self._over[hold.held.call_id] = hold
            hold.until_ns = now_ns + REMEMBERED_S * NS
        return found

    def held(self, counter: Counter) -> int:
        """Return how much is held, going through all that is."""
        return sum(hold.amount(number) for hold, number in self.holds_of(counter))

    def holds_of(self, counter: Counter) -> Iterator[tuple[Hold, int]]:
        """Yield the open holds on a counter."""
        for hold in self._open.values():
            for number, (take, subject) in enumerate(zip(hold.takes, hold.subjects, strict=True)):
                if subject == counter.subject and take.counter.series == counter.series:
                    yield hold, number

    def tidy(self, now_ns: int, most: int) -> None:
        """Forget calls that ended long ago, and tables and subjects that hold nothing."""
        while self._over and (oldest := next(iter(self._over))) and self._over[oldest].until_ns <= now_ns:
            del self._over[oldest]
        for series, table in list(self._tables.items()):
            table.idle(most, now_ns)
            if table.is_over and not len(table):
                del self._tables[series]

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
