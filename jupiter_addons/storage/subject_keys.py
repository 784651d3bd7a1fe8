"""subject_keys.db: the one place where subject keys are, wrapped by the master key; and how they are destroyed.

It is a database of its own, so that a copy of the evidence (a backup, an archive, an export) never takes the keys along,
and so that a person can be forgotten while gateways run: no evidence database is written to.  All workers share it.

A key is gone when its row is overwritten (`secure_delete`) and the write-ahead log that held it is truncated; nothing else
on this machine has it but the memory of running gateways, which look every second whether keys have gone.  Each erasure is
written down in the same transaction, to be put on the signed record by whoever may write there: an erasure that was cut
short is never half a secret.

Another master key may take the place of the one that is known here (`master_key`): whoever has the database open finds that
out in the transaction in which it matters, and asks for the one that there is by then.
"""

import contextlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
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
    """
    CREATE TABLE rotation (
        id TEXT PRIMARY KEY, t_us INTEGER NOT NULL, old TEXT NOT NULL, new TEXT NOT NULL, keys INTEGER NOT NULL,
        operator TEXT NOT NULL, recorded INTEGER NOT NULL DEFAULT 0
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


@dataclass(frozen=True, slots=True)
class Rotation:
    """A master key that was put in the place of another.  Both are named by what tells nothing of them."""

    id: str
    t_us: int
    old: str
    new: str
    keys: int
    """How many subject keys were wrapped anew."""
    operator: str
    """Whose doing it was, a pseudonym."""


type Master = Callable[[str], bytes | None]
"""What a master key is known by -> that key as it is kept now, if it is there.  Raises StoreError."""


def known_by(master: bytes) -> str:
    """Return what a master key is known by, which tells nothing of it."""
    return derive(master, b"ev1 check").hex()


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


def rotated(rotation: Rotation) -> Fields:
    """Return the leaf of a rotation of the master key."""
    return control(
        "key.rotate", use="content", old=rotation.old, new=rotation.new, keys=rotation.keys, by=rotation.operator,
        at_us=rotation.t_us, rotation=rotation.id,
    )  # fmt: skip


class SubjectKeys:
    """The keys of all subjects, for one process.  Any thread may call; every method raises StoreError."""

    def __init__(self, path: Path, master: bytes, another: Master = lambda _known: None) -> None:
        """Open or create the store; a master key that is not the one its keys are wrapped by is refused.

        `another` returns the one that has taken its place, if one has.
        """
        self._path = path
        self._master, self._another = master, another
        self._lock = threading.Lock()
        self._cached: dict[Subject, SubjectKey] = {}
        self._version = -1
        self._db = connect(path, MIGRATIONS)
        try:
            with self._using() as db:
                db.execute("INSERT INTO meta VALUES ('master', ?) ON CONFLICT DO NOTHING", (known_by(master),))
                self._follow(db.execute(_MASTER).fetchone()[0])
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
                self._follow(db.execute(_MASTER).fetchone()[0])
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
            found = db.execute(
                f"SELECT wrapped, user, team, ({_MASTER}) FROM subject_key WHERE id = ?",  # noqa: S608 - ours
                (key_id,),
            ).fetchone()
            if found is None:
                return None
            self._follow(found[3])
            return self._unwrapped(key_id, found[0], Subject(user=found[1], team=found[2]))

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
        self.empty_log()
        return erasure

    def rewrap(self, master: bytes, now_us: int, operator: str) -> Rotation:
        """Wrap every key by another master key, and write that down, in one transaction.

        The other must be durable by then.  Raises StoreError, and nothing has changed, unless it is that the write-ahead log
        could not be emptied, because a reader holds it: what the old one opens is then still in that file.
        """
        with self._using() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                self._follow(db.execute(_MASTER).fetchone()[0])
                rows = db.execute("SELECT id, wrapped, user, team FROM subject_key").fetchall()
                for key_id, wrapped, user, team in rows:
                    subject = Subject(user=user, team=team)
                    again = wrap_subject_key(master, self._unwrapped(key_id, wrapped, subject), subject)
                    db.execute("UPDATE subject_key SET wrapped = ? WHERE id = ?", (again, key_id))
                old, new = known_by(self._master), known_by(master)
                rotation = Rotation(uuid.uuid4().hex, now_us, old, new, len(rows), operator)
                db.execute("UPDATE meta SET value = ? WHERE name = 'master'", (new,))
                row = (rotation.id, now_us, old, new, len(rows), operator)
                db.execute("INSERT INTO rotation VALUES (?, ?, ?, ?, ?, ?, 0)", row)
                db.execute("COMMIT")
            except BaseException:
                _roll_back(db)
                raise
            self._master = master
        return rotation

    def empty_log(self) -> None:
        """Empty the write-ahead log of what was overwritten.  Raises StoreError if a reader holds it."""
        with self._using() as db:
            busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(f"`{self._path}-wal` is in use and still holds what was destroyed; hint: run this again")

    @property
    def master_known_by(self) -> str:
        """What the master key is known by that all keys are wrapped by.  Raises StoreError."""
        with self._using() as db:
            return str(db.execute(_MASTER).fetchone()[0])

    def unrecorded_rotations(self) -> list[Rotation]:
        """Return the rotations of the master key that are not on the signed record yet."""
        with self._using() as db:
            sql = "SELECT id, t_us, old, new, keys, operator FROM rotation WHERE NOT recorded ORDER BY t_us"
            return [Rotation(*row) for row in db.execute(sql)]

    def rotation_recorded(self, rotation_id: str) -> None:
        """Note that a rotation is on the signed record."""
        with self._using() as db:
            db.execute("UPDATE rotation SET recorded = 1 WHERE id = ?", (rotation_id,))

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

    def _follow(self, known: str) -> None:
        """Go on with the master key that all keys are wrapped by, by what that is known by."""
        if known == known_by(self._master):
            return
        master = self._another(known)
        if master is None:
            raise StoreError(
                f"the keys in `{self._path}` are wrapped by another content key; hint: restore the one they were"
            )
        self._master = master

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


_MASTER = "SELECT value FROM meta WHERE name = 'master'"


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")
