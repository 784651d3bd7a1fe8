"""What a start would refuse in a log file, and setting such a file aside with all that belongs to it.

Nothing is deleted, and nothing in a file that is set aside is changed but that what SQLite has beside it is folded in, if it
can be.
"""

import contextlib
import datetime
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.recovery import UNKNOWN, GivenUp, read
from jupiter_addons.storage.evidence_anchor import SUFFIX, Anchors
from jupiter_addons.storage.evidence_cosigned import SUFFIX as COSIGNED
from jupiter_addons.storage.evidence_file import LogFile
from jupiter_addons.storage.evidence_places import Place
from jupiter_addons.storage.evidence_query import newest
from jupiter_addons.storage.evidence_reader import Snapshot
from jupiter_addons.storage.evidence_stamped import DIRECTORY as STAMPED
from jupiter_addons.storage.evidence_tail import Identity, Sealer
from jupiter_addons.storage.sqlite import hold_lock

ASIDE = ".set-aside-"
"""What the name of a file that is set aside goes on with, before the time."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A log file that a start refuses."""

    path: Path
    why: str
    origin: str = ""
    """Its name; empty if that cannot be read."""
    size: int = UNKNOWN
    """How many leaves can be read."""
    known: int = UNKNOWN
    """How many leaves its anchor knows."""


def diagnose(path: Path, identity: Identity, anchors: Anchors) -> Trouble | None:
    """Return what a start would refuse in a log file; None if it would go on with it.

    Raises StoreError if somebody is writing it.
    """
    with contextlib.closing(hold_lock(path)):
        store = LogFile(path, identity, Sealer(identity, time.time_ns), anchors.read)
        try:
            store.open()
        except StoreError as error:
            why = str(error).partition("; hint: ")[0].removeprefix(f"`{path}` cannot be gone on with: ")
            return trouble(path, why, anchors)
        finally:
            store.close()
    return None


def trouble(path: Path, why: str, anchors: Anchors | None) -> Trouble:
    """Return what there is of a log file that is refused for a reason; without keys there are no `anchors` to believe."""
    try:
        with Snapshot(path) as log:
            origin, size = log.origin, log.size
    except StoreError:
        return Trouble(path, why)
    known = UNKNOWN
    with contextlib.suppress(StoreError):  # an anchor that cannot be read may be what is wrong
        if anchors is not None and (head := anchors.read(origin)) is not None:
            known = head.size
    return Trouble(path, why, origin, size, known)


def set_aside(found: Trouble, now_us: int) -> GivenUp:
    """Rename a log file, and what SQLite has beside it, and return what became of it.  Raises StoreError."""
    with contextlib.closing(hold_lock(found.path)):
        _fold(found.path)
        name = aside(found.path.name, now_us)
        try:
            with found.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            for suffix in ("-wal", "-shm", ""):  # as long as the file itself is there, a start refuses it
                beside = found.path.with_name(found.path.name + suffix)
                if beside.exists():
                    beside.rename(found.path.with_name(name + suffix))
            _sync(found.path.parent)
        except OSError as error:
            raise StoreError(f"cannot set `{found.path}` aside: {error}") from error
    return GivenUp(found.origin, found.size, found.known, found.why, name, digest, now_us)


def aside(name: str, now_us: int) -> str:
    """Return the name of what is set aside now."""
    return f"{name}{ASIDE}{datetime.datetime.fromtimestamp(now_us // 1_000_000, datetime.UTC):%Y%m%dT%H%M%SZ}"


def set_anchors_aside(directory: Path, now_us: int, anchors: Anchors | None) -> Sequence[Path]:
    """Rename the anchors that cannot be believed; without keys to believe any by, all that is kept beside them, too.

    Return what they are called now.  Raises StoreError.
    """
    moved: list[Path] = []
    patterns = [f"*{SUFFIX}", f"*{COSIGNED}", STAMPED] if anchors is None else [f"*{SUFFIX}"]
    try:
        for path in sorted(path for pattern in patterns for path in directory.glob(pattern)):
            if anchors is None or not anchors.believes(path):
                moved.append(path.rename(path.with_name(aside(path.name, now_us))))
    except OSError as error:
        raise StoreError(f"cannot set aside what is in `{directory}`: {error}") from error
    return moved


def given_up(place: Place) -> Iterator[tuple[int, GivenUp]]:
    """Yield which logs the leaves of a log say were given up, and which leaves do, the last one first.  Raises StoreError."""
    for row in newest(place, "recover"):
        try:
            found = read(orjson.loads(row.leaf))
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"leaf {row.idx} of `{place}` cannot be read; hint: jupiter evidence verify") from error
        if found is not None:
            yield row.idx, found


def _fold(path: Path) -> None:
    """Have SQLite move what it has beside the file into it, if it can."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _sync(directory: Path) -> None:
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
