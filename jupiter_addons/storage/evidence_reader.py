"""Reading evidence.db while a gateway writes it: for `verify` and `query`."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.evidence_sqlite import MIGRATIONS
from jupiter_addons.storage.sqlite import connect_reading


def rows(path: Path) -> Iterator[Row]:
    """Yield all leaves in order, as of one moment.  Raises StoreError."""
    with closing(connect_reading(path, MIGRATIONS)) as db:
        try:
            for idx, leaf, signature in db.execute("SELECT idx, leaf, sig FROM leaf ORDER BY idx"):
                yield Row(idx, bytes(leaf), bytes(signature))
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
