"""The books of `limits.counting` in a SQLite database, as one transaction sees them.

Every row is read at most once in a transaction and written at most once, at its end: in between the tables work on what was
read.  Who calls begins the transaction, then says `flush` and commits, or rolls back, and `forget`s in any case.

What a transaction costs is how many statements it has and how many pages it touches.  So all counters that a call is about are
read by one statement, and the counters of one subject lie side by side.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import sub
from typing import Any

import apsw

from jupiter_addons.limits.counting import Hold
from jupiter_addons.limits.store import REMEMBERED_S, Counter, Period, Take
from jupiter_addons.limits.tables import GRACE_S, NS, Table
from jupiter_addons.storage.limits_packing import Form, pack_hold, table_in, unpack_hold

MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE series (name TEXT PRIMARY KEY, ends_s REAL, subjects INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE counter (
        subject TEXT, series TEXT, state BLOB, held INTEGER NOT NULL, until_ns INTEGER NOT NULL,
        PRIMARY KEY (subject, series)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE hold (id TEXT PRIMARY KEY, until_ns INTEGER NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE over (id TEXT PRIMARY KEY, until_ns INTEGER NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE INDEX over_until_ns ON over (until_ns)
    """,
)

MANY_CALLS = 10_000
"""More calls of one process do not run at once."""

DROP = "DELETE FROM counter WHERE subject = ? AND series = ?"
_READ = "SELECT state, held FROM counter WHERE subject = ? AND series = ?"
KEEP = """
    INSERT INTO counter VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET state = excluded.state, held = excluded.held, until_ns = excluded.until_ns
"""
HOLD = "INSERT INTO hold VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until_ns = excluded.until_ns, body = excluded.body"
FORGET = {"hold": "DELETE FROM hold WHERE id = ?", "over": "DELETE FROM over WHERE id = ?"}
"""The table that a call is in -> how it is taken out."""
_OVER = "INSERT INTO over VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until_ns = excluded.until_ns, body = excluded.body"
_MORE = "INSERT INTO series VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET subjects = subjects + excluded.subjects"
_FEWER = "UPDATE series SET subjects = max(0, subjects - ?) WHERE name = ?"


@cache
def _together(table: str, counters: int) -> str:
    """Return the statement that reads a hold and so many counters; what is not there is null."""
    columns = [f"(SELECT {column} FROM {table} WHERE id = ?)" for column in ("until_ns", "body")]  # noqa: S608
    for number in range(counters):
        place = f"subject = ?{2 * number + 3} AND series = ?{2 * number + 4}"
        columns += [f"(SELECT {column} FROM counter WHERE {place})" for column in ("state", "held")]  # noqa: S608
    return f"SELECT {', '.join(columns)}"


@dataclass(slots=True, eq=False)
class Row:
    """A subject of a series; the state is None if nothing is known of it."""

    state: Any
    held: int
    is_there: bool
    """Whether it is in the database."""
    is_changed: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost with it."""
        return self.state is None and not self.held


class Series:
    """The states of one table, in rows.  See `states.States`."""

    def __init__(self, books: "SqliteBooks", counter: Counter, wall_s: Callable[[], float]) -> None:
        self._books = books
        self.name = counter.series
        self.ends_s = counter.shape.ends_s if isinstance(counter.shape, Period) else None
        self.rows: dict[str, Row] = {}
        self.table: Table
        self.form: Form
        self.table, self.form = table_in(self, counter.shape, wall_s)

    def row(self, subject: str) -> Row:
        """Return the row of a subject."""
        row = self.rows.get(subject)
        if row is None:
            row = self._books.read(self, subject)
        return row

    def get(self, subject: str) -> Any:
        """Return a state."""
        row = self.rows.get(subject)
        return (self._books.read(self, subject) if row is None else row).state

    def put(self, subject: str, state: Any) -> None:
        """Keep a state."""
        row = self.rows.get(subject)
        if row is None:
            row = self._books.read(self, subject)
        row.state = state
        self._books.change(self, subject, row)

    def drop(self, subject: str) -> None:
        """Forget a state; the row goes when nothing is held."""
        self.put(subject, None)

    def last(self, life_ns: int) -> None:
        """Do nothing: each row says until when it matters."""

    def idle(self, most: int, now_ns: int) -> None:
        """Do nothing: the books tidy all series at once."""

    def __len__(self) -> int:
        """Return how many subjects are in the database."""
        return self._books.members(self.name)


class SqliteBooks:
    """See `counting.Books`.  Raises apsw.Error, or StoreError for what cannot be read."""

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self.cursor: apsw.Cursor
        """Of the open database; whoever opens it sets it."""
        self._wall_s = wall_s
        self._series: dict[str, Series] = {}
        self._touched: dict[str, Series] = {}
        self._changed: list[tuple[Series, str, Row]] = []
        self._holds: dict[str, tuple[int, ...] | None] = {}
        """Call -> what it held of each take when it was read in this transaction; None if it was not there."""
        self._kept: dict[str, Hold] = {}
        self._gone: dict[str, str] = {}
        """Call -> the table it is taken out of."""
        self._own: dict[str, tuple[bytes, Hold]] = {}
        """Call -> what this process has written of it, packed and not, so that it need not be read."""
        self._passed = ("", "")
        """How far the counters have been looked through."""

    def flush(self) -> None:
        """Write what has changed."""
        cursor, members = self.cursor, dict[Series, int]()
        kept: list[tuple[str, str, bytes | None, int, int]] = []
        for series, subject, row in self._changed:
            if row.is_empty:
                if row.is_there:
                    cursor.execute(DROP, (subject, series.name))
                    members[series] = members.get(series, 0) - 1
                continue
            if not row.is_there:
                members[series] = members.get(series, 0) + 1
            kept.append(packed(series, subject, row))
        if kept:
            cursor.executemany(KEEP, kept)
        self._count_members(members)
        for call_id, table in self._gone.items():
            cursor.execute(FORGET[table], (call_id,))
            self._own.pop(call_id, None)
        for call_id, hold in self._kept.items():
            body = pack_hold(hold)
            cursor.execute(HOLD, (call_id, hold.until_ns, body))
            self._own[call_id] = body, hold

    def _count_members(self, changes: Mapping[Series, int]) -> None:
        for series, change in changes.items():
            self._count_member(series.name, series.ends_s, change)

    def _count_member(self, name: str, ends_s: float | None, change: int) -> None:
        if change > 0:
            self.cursor.execute(_MORE, (name, ends_s, change))
        elif change < 0:
            self.cursor.execute(_FEWER, (-change, name))

    def undo(self) -> None:
        """Know that what was written in this transaction is not there."""
        self._own.clear()

    def forget(self) -> None:
        """Forget what was read and written in this transaction."""
        for series in self._touched.values():
            series.rows.clear()
        self._be_done()

    def _be_done(self) -> None:
        """Forget what was changed in this transaction, and which rows were read."""
        self._touched.clear()
        self._changed.clear()
        self._holds.clear()
        self._kept.clear()
        self._gone.clear()

    def read(self, series: Series, subject: str) -> Row:
        """Return a subject as the database has it."""
        found = self.cursor.execute(_READ, (subject, series.name)).fetchone()
        return self._found(series, subject, *(found or (None, None)))

    def change(self, series: Series, subject: str, row: Row) -> None:
        """Know that a row has changed."""
        if not row.is_changed:
            row.is_changed = True
            self._changed.append((series, subject, row))

    def members(self, name: str) -> int:
        """Return how many subjects a series has."""
        found = self.cursor.execute("SELECT subjects FROM series WHERE name = ?", (name,)).fetchone()
        return 0 if found is None else int(found[0])

    def _in(self, counter: Counter) -> Series:
        series = self._series.get(counter.series)
        if series is None:
            series = self._series[counter.series] = Series(self, counter, self._wall_s)
        return series

    def table(self, counter: Counter) -> Table:
        """Return a table."""
        return self._in(counter).table

    def hold(self, call_id: str, ahead: Sequence[Take] = ()) -> Hold | None:
        """Return an open hold."""
        if (known := self._kept.get(call_id)) is not None:
            return known
        hold = None if call_id in self._gone else self._read_hold("hold", call_id, [take[0] for take in ahead])
        self._holds[call_id] = None if hold is None else _amounts(hold)
        return hold

    def _read_hold(self, table: str, call_id: str, ahead: Sequence[Counter] = ()) -> Hold | None:
        """Read a hold, and counters with it."""
        values = [call_id, call_id]
        for counter in ahead:
            values += (counter.subject, counter.series)
        row: Any = self.cursor.execute(_together(table, len(ahead)), values).fetchone()
        until_ns, body, *found = row
        for counter, state, held in zip(ahead, found[::2], found[1::2], strict=True):
            self._found(self._in(counter), counter.subject, state, held)
        return None if body is None else self._unpacked(call_id, until_ns, body)

    def _unpacked(self, call_id: str, until_ns: int, body: bytes) -> Hold:
        written, hold = self._own.get(call_id, (b"", None))
        if hold is None or written != body:  # another process has written it
            return unpack_hold(call_id, until_ns, body)
        hold.until_ns = until_ns
        return hold

    def _found(self, series: Series, subject: str, state: Any, held: int | None) -> Row:
        """Take a row as the database has it."""
        self._touched[series.name] = series
        unpacked = None if state is None else series.form.unpack(state)
        row = series.rows[subject] = Row(unpacked, held or 0, held is not None)
        return row

    def put(self, hold: Hold) -> None:
        """Keep an open hold."""
        call_id = hold.held.call_id
        now, before = _amounts(hold), self._holds.get(call_id)
        if now != before:
            self._count_held(hold, now if before is None else map(sub, now, before))
            self._holds[call_id] = now
        self._kept[call_id] = hold

    def _count_held(self, hold: Hold, changes: Iterable[int]) -> None:
        for take, subject, change in zip(hold.takes, hold.subjects, changes, strict=True):
            if change:
                series = self._in(take[0])
                row = series.row(subject)
                held = row.held + change
                row.held = held if held > 0 else 0
                self.change(series, subject, row)

    def end(self, call_id: str) -> tuple[Hold, bool] | None:
        """Forget a call."""
        for table, late in (("hold", False), ("over", True)):
            if (hold := self._read_hold(table, call_id)) is not None:
                if not late:
                    self._count_held(hold, [-amount for amount in _amounts(hold)])
                self._gone[call_id] = table
                return hold, late
        return None

    def expire(self, now_ns: int, most: int) -> Sequence[Hold]:
        """Put aside open holds whose lease has run out."""
        statement = "SELECT id, until_ns, body FROM hold WHERE until_ns <= ? ORDER BY until_ns LIMIT ?"
        rows: list[Any] = self.cursor.execute(statement, (now_ns, most)).fetchall()
        found = [unpack_hold(*row) for row in rows]
        for hold in found:
            self._count_held(hold, [-amount for amount in _amounts(hold)])
            self._gone[hold.held.call_id] = "hold"
            hold.until_ns = now_ns + REMEMBERED_S * NS
            self.put_over(hold)
        return found

    def held(self, counter: Counter, subject: str) -> int:
        """Return how much is held."""
        return self._in(counter).row(subject).held

    def holds(self) -> Iterator[Hold]:
        """Yield the open holds."""
        for (call_id,) in self.cursor.execute("SELECT id FROM hold").fetchall():
            if (hold := self.hold(str(call_id))) is not None:
                yield hold

    def over(self) -> Iterator[Hold]:
        """Yield the holds whose lease has run out."""
        rows: list[Any] = self.cursor.execute("SELECT id, until_ns, body FROM over").fetchall()
        return (unpack_hold(*row) for row in rows)

    def put_over(self, hold: Hold) -> None:
        """Keep a hold whose lease has run out."""
        self.cursor.execute(_OVER, (hold.held.call_id, hold.until_ns, pack_hold(hold)))

    def tidy(self, now_ns: int, most: int) -> None:
        """Forget calls that ended long ago, and, a part at a time, counters that hold nothing or are of periods long over."""
        execute = self.cursor.execute
        execute("DELETE FROM over WHERE id IN (SELECT id FROM over WHERE until_ns <= ? LIMIT ?)", (now_ns, most))
        some = "(subject, series) > (?, ?)"
        last = execute(
            f"SELECT subject, series FROM counter WHERE {some} ORDER BY subject, series LIMIT 1 OFFSET ?",  # noqa: S608
            (*self._passed, most - 1),
        ).fetchone()
        past_s = self._wall_s() - GRACE_S
        values: list[Any] = [*self._passed, now_ns, past_s]
        if last is not None:
            some += " AND (subject, series) <= (?, ?)"
            values[2:2] = last
        # what open calls hold is counted in these rows, and looked for when they end
        idle = "held = 0 AND until_ns <= ? OR series IN (SELECT name FROM series WHERE ends_s <= ?)"
        gone = execute(f"DELETE FROM counter WHERE {some} AND ({idle}) RETURNING series", values).fetchall()  # noqa: S608
        for name, count in Tally(name for (name,) in gone).items():
            execute(_FEWER, (count, name))
        execute("DELETE FROM series WHERE ends_s <= ? AND subjects = 0", (past_s,))
        self._passed = ("", "") if last is None else last
        if len(self._own) > MANY_CALLS:  # others have ended them
            self._own.clear()
        for name in [name for name, series in self._series.items() if series.table.is_over]:
            del self._series[name]

    @property
    def open_calls(self) -> int:
        """How many calls are open."""
        ((count,),) = self.cursor.execute("SELECT count(*) FROM hold")
        return int(str(count))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted."""
        tables = ("counter", "hold")
        return all(self.cursor.execute(f"SELECT 1 FROM {one} LIMIT 1").fetchone() is None for one in tables)  # noqa: S608


def packed(series: Series, subject: str, row: Row) -> tuple[str, str, bytes | None, int, int]:
    """Return a row as it is written down."""
    state = None if row.state is None else series.form.pack(row.state)
    return subject, series.name, state, row.held, series.table.until_ns(row.state)


def _amounts(hold: Hold) -> tuple[int, ...]:
    if not hold.more:
        return tuple([take[1] for take in hold.takes])
    return tuple([hold.amount(number) for number in range(len(hold.takes))])
