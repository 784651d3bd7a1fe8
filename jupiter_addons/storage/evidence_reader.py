"""Reading evidence.db while a gateway writes it: for `verify` and `query`.

The file is not trusted: its schema runs no code, and every column is read as bytes, whatever its type says, so that a
value of the wrong kind is something to find and not something to trip over.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.evidence_schema import MIGRATIONS
from jupiter_addons.storage.sqlite import connect_reading

_ROWS = """
    SELECT idx, coalesce(CAST(leaf AS BLOB), x''), coalesce(CAST(sig AS BLOB), x''), CAST(kind AS BLOB),
           CAST(id AS BLOB), CAST(CAST(t_us AS TEXT) AS BLOB), CAST(hash AS BLOB)
    FROM leaf ORDER BY idx
"""


def rows(path: Path) -> Iterator[Row]:
    """Yield all leaves in order, as of one moment.  Raises StoreError."""
    with closing(connect_reading(path, MIGRATIONS)) as db:
        try:
            db.execute("PRAGMA query_only=ON")
            db.execute("PRAGMA trusted_schema=OFF")
            for idx, leaf, signature, *columns in db.execute(_ROWS):
                yield Row(idx, leaf, signature, tuple(columns))
        except sqlite3.Error as error:
            raise StoreError(f"cannot read `{path}`: {error}") from error


def tampered_copy(source: Path, copy: Path) -> None:
    """Copy a log as it is now and change one word in one outcome: what the demo and the tests have `verify` find."""
    with closing(connect_reading(source, MIGRATIONS)) as reading, closing(sqlite3.connect(copy)) as writing:
        reading.backup(writing)
        idx, leaf = writing.execute("SELECT idx, leaf FROM leaf WHERE kind = 'outcome' ORDER BY idx LIMIT 1").fetchone()
        changed = bytes(leaf).replace(b'"status":"ok"', b'"status":"no"')
        writing.execute("UPDATE leaf SET leaf = ? WHERE idx = ?", (changed, idx))
        writing.commit()
