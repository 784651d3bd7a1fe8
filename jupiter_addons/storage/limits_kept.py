"""The books of a process that has limits.db to itself: what it uses stays in memory, and is written down later.

Each step goes to the journal before it counts, which is one small write in place of a transaction; a second's worth of steps
is then written to the database in one, where a counter that was used a thousand times is one row, and a call that has begun and
ended is none.

`settled` is the state in which everything is in the database: then these are books like any others, and nothing is kept.
"""

from collections.abc import Callable, Iterable, Sequence

from jupiter_addons.limits.counting import Hold
from jupiter_addons.limits.store import Counter
from jupiter_addons.storage.limits_books import DROP, FORGET, HOLD, KEEP, Row, Series, SqliteBooks, packed
from jupiter_addons.storage.limits_journal import Step
from jupiter_addons.storage.limits_packing import pack_hold

MANY = 1000
"""So many counters and calls are written in a few milliseconds, which is as long as the event loop should wait."""


class KeptBooks(SqliteBooks):
    """See `counting.Books`."""

    def __init__(self, wall_s: Callable[[], float]) -> None:
        super().__init__(wall_s)
        self._is_keeping = False
        self._behind: dict[tuple[str, str], tuple[Series, str, Row]] = {}
        """What has changed since the database was written."""
        self._members: dict[Series, int] = {}
        """How many subjects a series has more than the database says, or fewer."""
        self._open: dict[str, Hold | None] = {}
        """Call -> a hold that is not in the database as it is; None: it is over."""
        self._stored: set[str] = set()
        """The calls that the database has a hold of."""
        self._forgotten: set[str] = set()
        """Calls that are over and were settled late."""

    def keep(self) -> None:
        """Begin to keep what is read and changed.  Raises apsw.Error."""
        self._is_keeping = True
        self._stored = {str(call_id) for (call_id,) in self.cursor.execute("SELECT id FROM hold")}

    def step(self) -> Step | None:
        """Return what has changed, to be written down; None if nothing has."""
        if not (self._changed or self._kept or self._gone):
            return None
        rows = []
        for series, subject, row in self._changed:
            _, name, state, held, until_ns = packed(series, subject, row)
            rows.append((subject, name, series.ends_s, state, held, until_ns))
        kept = [(call_id, hold.until_ns, pack_hold(hold)) for call_id, hold in self._kept.items()]
        return Step(rows, kept, list(self._gone.items()))

    def count(self) -> None:
        """Know that what has changed is written down."""
        for series, subject, row in self._changed:
            row.is_changed = False
            if row.is_empty is row.is_there:
                self._members[series] = self._members.get(series, 0) + (-1 if row.is_there else 1)
                row.is_there = not row.is_there
            self._behind[subject, series.name] = series, subject, row
        for call_id, table in self._gone.items():
            if table == "over":
                self._forgotten.add(call_id)
            elif call_id in self._stored:
                self._open[call_id] = None
            else:
                self._open.pop(call_id, None)
        self._open.update(self._kept)
        self._be_done()

    def settle(self) -> None:
        """Write everything to the database, in a transaction, and keep nothing any more.  Raises apsw.Error."""
        cursor = self.cursor
        kept = [packed(*one) for one in self._behind.values() if not one[2].is_empty]
        cursor.executemany(
            DROP, [(subject, series.name) for series, subject, row in self._behind.values() if row.is_empty]
        )
        cursor.executemany(KEEP, kept)
        self._count_members(self._members)
        for call_id, hold in self._open.items():
            if hold is None:
                cursor.execute(FORGET["hold"], (call_id,))
            else:
                cursor.execute(HOLD, (call_id, hold.until_ns, pack_hold(hold)))
        cursor.executemany(FORGET["over"], [(call_id,) for call_id in self._forgotten])
        self.undo()

    def take_over(self, steps: Iterable[Step]) -> None:
        """Write to the database what steps say, in a transaction.  Raises apsw.Error."""
        for step in steps:
            for subject, name, ends_s, state, held, until_ns in step.rows:
                key = (subject, name)
                is_there = self.cursor.execute("SELECT 1 FROM counter WHERE subject = ? AND series = ?", key).fetchone()
                is_kept = state is not None or held > 0
                if is_kept:
                    self.cursor.execute(KEEP, (subject, name, state, held, until_ns))
                elif is_there:
                    self.cursor.execute(DROP, key)
                self._count_member(name, ends_s, is_kept - (is_there is not None))
            for call_id, table in step.gone:
                self.cursor.execute(FORGET[table], (call_id,))
            self.cursor.executemany(HOLD, step.kept)

    @property
    def is_behind(self) -> bool:
        """Whether the database does not know everything."""
        return bool(self._behind or self._open or self._forgotten)

    @property
    def is_far_behind(self) -> bool:
        """Whether so much is kept that it takes a while to write it down."""
        return len(self._behind) + len(self._open) > MANY

    @property
    def is_changing(self) -> bool:
        """Whether something has changed that is written down nowhere."""
        return bool(self._changed or self._kept or self._gone)

    def undo(self) -> None:
        """Keep nothing: what counts is what was written."""
        super().undo()
        self._is_keeping = False
        for series in self._series.values():
            series.rows.clear()
        for kept in (self._behind, self._members, self._open, self._stored, self._forgotten):
            kept.clear()

    def forget(self) -> None:
        """Forget what was read and written in this transaction; while it keeps, nothing that was read."""
        if self._is_keeping:
            self._be_done()
        else:
            super().forget()

    def members(self, name: str) -> int:
        """Return how many subjects a series has."""
        series = self._series.get(name)
        return super().members(name) + (0 if series is None else self._members.get(series, 0))

    def _read_hold(self, table: str, call_id: str, ahead: Sequence[Counter] = ()) -> Hold | None:
        if self._is_keeping:
            if table == "over":
                return None if call_id in self._forgotten else super()._read_hold(table, call_id)
            if call_id in self._open:
                return self._open[call_id]
            if call_id not in self._stored:
                return None
            ahead = ()  # a row that was kept is newer than the one in the database
        return super()._read_hold(table, call_id, ahead)
