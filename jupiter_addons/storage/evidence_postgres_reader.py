"""Reading a log in PostgreSQL as of one moment, while its gateway writes it: what `Snapshot` is for a file.

The server is not trusted to say what a leaf says; it is trusted to run our queries and no code of its own, for which a
connection that may only read is enough.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Self

import psycopg

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.merkle import HASH_BYTES, TILE_WIDTH, hash_leaf
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage import postgres
from jupiter_addons.storage.evidence_postgres_tables import RARE
from jupiter_addons.storage.postgres import Connection

READ_AT_ONCE = 1000


class PostgresSnapshot:
    """A log as of one moment.  Raises StoreError, also while it is read."""

    has_tree = True

    def __init__(self, url: str, origin: str) -> None:
        self._name = postgres.place_of(url)
        self.origin = origin
        self._db = _reading(url)
        try:
            self._db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            [(self.size,)] = self.all("SELECT coalesce(max(idx) + 1, 0) FROM jupiter.leaf WHERE log = %s", origin)
        except psycopg.Error as error:
            self._db.close()
            raise self._unreadable(error) from error
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def rows(self, start: int = 0) -> Iterator[Row]:
        """Yield the leaves from a number on, in order."""
        try:
            with self._db.cursor("leaves", binary=True) as cursor:
                cursor.itersize = READ_AT_ONCE
                for idx, leaf, signature, *columns in cursor.execute(_ROWS, (self.origin, start)):
                    yield Row(
                        idx, leaf, signature, tuple(None if one is None else str(one).encode() for one in columns)
                    )
        except psycopg.Error as error:
            raise self._unreadable(error) from error

    def checkpoints(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield size and note of the checkpoints over more than so many leaves, by size."""
        try:
            with self._db.cursor("checkpoints") as cursor:
                cursor.itersize = READ_AT_ONCE
                for size, note in cursor.execute(_CHECKPOINTS, (self.origin, after)):
                    yield size, note.encode()
        except psycopg.Error as error:
            raise self._unreadable(error) from error

    def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """Return size and note of the newest checkpoint."""
        found = self.all(f"{_NOTES} ORDER BY size DESC LIMIT 1", self.origin)
        return (found[0][0], found[0][1].encode()) if found else None

    def tiles(self, level: int, n: int) -> Sequence[bytes]:
        """Return the hashes of a tile, as many as there are."""
        found = self.all(_TILE, self.origin, level, n)
        if found:
            hashes = found[0][0]
            return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]
        if level:
            return []
        first = n * TILE_WIDTH
        return [hash_leaf(leaf) for (leaf,) in self.all(_LEAVES, self.origin, first, first + TILE_WIDTH)]

    def leaves_of(self, call_id: str) -> Sequence[Row]:
        """Return the leaves of one call."""
        return self.leaves_of_all([call_id])

    def leaves_of_all(self, ids: Sequence[str]) -> list[Row]:
        """Return the leaves of calls, in order."""
        return [Row(*row) for row in self.all(_OF_CALLS, self.origin, list(ids))]

    def newest(self, kind: str) -> Iterator[Row]:
        """Yield the leaves of a kind that is about the log itself, the last one first."""
        for row in self.all(f"{_LEAF} WHERE log = %s AND kind = %s AND {RARE} ORDER BY idx DESC", self.origin, kind):
            yield Row(*row)

    def ciphertext(self, call_id: str, role: str) -> bytes | None:
        """Return what is stored of a body of a call."""
        found = self.all(_CIPHERTEXT, self.origin, call_id, role)
        return found[0][0] if found else None

    def all(self, sql: str, *values: object) -> list[Any]:
        """Return all rows of a query."""
        try:
            return self._db.execute(sql.encode(), values, binary=True).fetchall()
        except psycopg.Error as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> StoreError:
        return postgres.failed(error, f"read `{self.origin}` in `{self._name}`")


def logs(url: str) -> list[str]:
    """Return the origins of the logs that are there, oldest first.  Raises StoreError."""
    try:
        with closing(_reading(url)) as db:
            if db.execute("SELECT to_regclass('jupiter.log')").fetchone() == (None,):
                return []
            return [origin for (origin,) in db.execute("SELECT log FROM jupiter.log ORDER BY created_at, log")]
    except psycopg.Error as error:
        raise postgres.failed(error, f"read `{postgres.place_of(url)}`") from error


def _reading(url: str) -> Connection:
    try:
        db = postgres.connect(url, "jupiter-reader")
    except psycopg.Error as error:
        raise postgres.failed(error, f"reach `{postgres.place_of(url)}`") from error
    db.execute("SET default_transaction_read_only = on")
    return db


_LEAF = "SELECT idx, leaf, sig FROM jupiter.leaf"
_ROWS = "SELECT idx, leaf, sig, kind, id, t_us, hash FROM jupiter.leaf WHERE log = %s AND idx >= %s ORDER BY idx"
_LEAVES = "SELECT leaf FROM jupiter.leaf WHERE log = %s AND idx >= %s AND idx < %s ORDER BY idx"
_OF_CALLS = f"{_LEAF} WHERE log = %s AND id = ANY(%s) ORDER BY idx"
_NOTES = "SELECT size, note FROM jupiter.checkpoint WHERE log = %s"
_CHECKPOINTS = f"{_NOTES} AND size > %s ORDER BY size"
_TILE = "SELECT hashes FROM jupiter.tile WHERE log = %s AND level = %s AND n = %s"
_CIPHERTEXT = "SELECT ct FROM jupiter.payload WHERE log = %s AND call_id = %s AND role = %s"
