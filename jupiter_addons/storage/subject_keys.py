"""subject_keys.db: the one place where subject keys are, wrapped by the master key; and how they are destroyed.

It is a database of its own, so that a copy of the evidence (a backup, an archive, an export) never takes the keys along,
and so that a person can be forgotten while gateways run: no evidence database is written to.  All workers share it.

A key is gone when its row is overwritten (`secure_delete`) and the write-ahead log that held it is truncated; nothing else
on this machine has it but the memory of running gateways, which look every second whether keys have gone.  Each erasure is
written down in the same transaction, to be put on the signed record by whoever may write there: an erasure that was cut
short is never half a secret.
"""

import contextlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.keyring import (
    Subject,
    SubjectKey,
    derive,
    new_key,
    new_subject_key,
    unwrap_subject_key,
    wrap_subject_key,
)
from jupiter_addons.evidence.record import Fields, control
from jupiter_addons.storage import key_files
from jupiter_addons.storage.sqlite import connect

MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE subject_key (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, team TEXT NOT NULL, created_us INTEGER NOT NULL, wrapped BLOB NOT NULL,
        UNIQUE (user, team)
    ) STRICT;
    CREATE TABLE erasure (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, t_us INTEGER NOT NULL, keys TEXT NOT NULL, reason TEXT NOT NULL,
        horizon_us INTEGER, recorded INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
)
MAX_CACHED = 10_000
"""So many keys are held in memory, a few hundred bytes each; then all are let go of."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """Keys that were destroyed.  `horizon_us` is when the last backup that may hold them is gone; None: not stated."""

    id: str
    user: str
    t_us: int
    keys: Sequence[str]
    reason: str
    horizon_us: int | None


def load_master(path: Path, *, create: bool = False) -> bytes:
    """Return the master key, made if `create` says so and it is not there.  Raises StoreError.

    Whoever loses it loses every text that was kept, and nothing else.
    """
    if create:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):  # another process was first: its key is the key
                key_files.write_once(path, key_files.seed_text(new_key()))
        except OSError as error:
            raise StoreError(f"cannot write the content key `{path}`: {error}") from error
    elif not path.exists():
        raise StoreError(f"there is no `{path}`, without which no content can be read; hint: restore it from a backup")
    return key_files.read_seed(path)


def erased(erasure: Erasure) -> Fields:
    """Return the leaf of an erasure: it names pseudonym and keys, and outlives both."""
    horizon = {} if erasure.horizon_us is None else {"horizon_us": erasure.horizon_us}
    keys = " ".join(erasure.keys)
    return control(
        "erase", erasure=erasure.id, subject=erasure.user, keys=keys, count=len(erasure.keys), at_us=erasure.t_us,
        reason=erasure.reason, **horizon,
    )  # fmt: skip


class SubjectKeys:
    """The keys of all subjects, for one process.  Any thread may call; every method raises StoreError."""

    def __init__(self, path: Path, master: bytes) -> None:
        """Open or create the store; a master key that is not the one its keys are wrapped by is refused."""
        self._path = path
        self._master = master
        self._lock = threading.Lock()
        self._cached: dict[Subject, SubjectKey] = {}
        self._version = -1
        self._db = connect(path, MIGRATIONS)
        try:
            with self._using() as db:
                check = derive(master, b"ev1 check").hex()
                db.execute("INSERT INTO meta VALUES ('master', ?) ON CONFLICT DO NOTHING", (check,))
                known = db.execute("SELECT value FROM meta WHERE name = 'master'").fetchone()[0]
            if known != check:
                raise StoreError(
                    f"the keys in `{path}` are wrapped by another content key; hint: restore the one they were"
                )
        except BaseException:
            self._db.close()
            raise

    def cached(self, subject: Subject) -> SubjectKey | None:
        """Return a subject's key if it is at hand, without touching the disk."""
        return self._cached.get(subject)

    def key_of(self, subject: Subject, now_us: int) -> SubjectKey:
        """Return a subject's key, made now if there is none."""
        with self._using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                found = db.execute(
                    "SELECT id, wrapped FROM subject_key WHERE user = ? AND team = ?", (subject.user, subject.team)
                ).fetchone()
                if found is None:
                    key = new_subject_key()
                    wrapped = wrap_subject_key(self._master, key, subject)
                    row = (key.id, subject.user, subject.team, now_us, wrapped)
                    db.execute("INSERT INTO subject_key VALUES (?, ?, ?, ?, ?)", row)
                else:
                    key = self._unwrapped(found[0], found[1], subject)
                db.execute("COMMIT")
            except BaseException:
                _roll_back(db)
                raise
            if len(self._cached) >= MAX_CACHED:
                self._cached.clear()
            self._cached[subject] = key
        return key

    def by_id(self, key_id: str) -> SubjectKey | None:
        """Return a key that is still there; None if it was destroyed."""
        with self._using() as db:
            found = db.execute("SELECT wrapped, user, team FROM subject_key WHERE id = ?", (key_id,)).fetchone()
        return None if found is None else self._unwrapped(key_id, found[0], Subject(user=found[1], team=found[2]))

    def teams(self, user: str) -> list[str]:
        """Return the teams within which a user, by its pseudonym, has keys; empty text for none."""
        with self._using() as db:
            return [row[0] for row in db.execute("SELECT team FROM subject_key WHERE user = ? ORDER BY team", (user,))]

    def refresh(self) -> bool:
        """Let go of keys that another process has destroyed meanwhile; return whether there may be erasures to record.

        Cheap enough for every second: as long as nobody else has written, the disk is not touched.
        """
        with self._using() as db:
            version = self._data_version(db)
            changed = version != self._version
            if changed:
                self._version = version
                self._cached.clear()
        return changed

    def erase(self, user: str, now_us: int, reason: str, horizon_us: int | None) -> Erasure:
        """Destroy every key of a user, by its pseudonym, and write that down; without keys nothing is destroyed.

        Raises StoreError if the write-ahead log could not be emptied, because a reader holds it: the keys are then gone
        from the database and still in that file, and a repeated call tries again.
        """
        with self._using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                keys = [row[0] for row in db.execute("SELECT id FROM subject_key WHERE user = ? ORDER BY id", (user,))]
                erasure = Erasure(uuid.uuid4().hex, user, now_us, keys, reason, horizon_us)
                db.execute("DELETE FROM subject_key WHERE user = ?", (user,))
                row = (erasure.id, user, now_us, json.dumps(keys), reason, horizon_us)
                db.execute("INSERT INTO erasure VALUES (?, ?, ?, ?, ?, ?, 0)", row)
                db.execute("COMMIT")
            except BaseException:
                _roll_back(db)
                raise
            self._cached.clear()
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StoreError(
                    f"`{self._path}-wal` is in use and still holds the destroyed keys; hint: run this again"
                )
        return erasure

    def unrecorded(self) -> list[Erasure]:
        """Return the erasures that are not on the signed record yet."""
        with self._using() as db:
            rows = db.execute(
                "SELECT id, user, t_us, keys, reason, horizon_us FROM erasure WHERE NOT recorded ORDER BY t_us"
            ).fetchall()
        return [
            Erasure(name, user, t_us, json.loads(keys), reason, by_us) for name, user, t_us, keys, reason, by_us in rows
        ]

    def recorded(self, erasure_id: str) -> None:
        """Note that an erasure is on the signed record."""
        with self._using() as db:
            db.execute("UPDATE erasure SET recorded = 1 WHERE id = ?", (erasure_id,))

    def close(self) -> None:
        """Let go of the database and of every key."""
        with self._lock:
            self._cached.clear()
            self._db.close()

    def _unwrapped(self, key_id: str, wrapped: bytes, subject: Subject) -> SubjectKey:
        try:
            return unwrap_subject_key(self._master, key_id, wrapped, subject)
        except VerificationError as error:
            raise StoreError(f"key `{key_id}` in `{self._path}` is not what was stored: {error}") from error

    @staticmethod
    def _data_version(db: sqlite3.Connection) -> int:
        return int(db.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._db
            except sqlite3.Error as error:
                raise StoreError(f"cannot use `{self._path}`: {error}") from error


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")
