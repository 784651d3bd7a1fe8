"""What a start would refuse in a log file, and setting such a file aside with all that belongs to it.

Nothing is deleted, and nothing in a file that is set aside is changed but that what SQLite has beside it is folded in, if it
can be.
"""

import contextlib
import datetime
import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.recovery import UNKNOWN, GivenUp, Known, read
from jupiter_addons.storage import key_files
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
    elsewhere: tuple[Known, ...] = ()
    """What others know of it; if its name cannot be read, of all logs that are in no other file."""


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


def with_known(found: Sequence[Trouble], paths: Sequence[Path], heads: Iterable[Checkpoint]) -> list[Trouble]:
    """Return the troubles with what is known elsewhere; `paths` are all log files, `heads` the checkpoints kept outside.

    A file whose name cannot be read may be any log that somebody knows and no other file is, or was given up before.
    """
    known: dict[str, Known] = {}
    for head in sorted(heads, key=lambda head: head.size):
        known[head.origin] = Known(head.origin, head.size, head.root.hex())
    there = {one.origin for one in found}
    unreadable = {one.path for one in found if not one.origin}
    for path in paths:
        if path not in unreadable:
            there.update(_names(path))
    lost = tuple(known[name] for name in sorted(known) if name not in there)
    return [replace(one, elsewhere=_of(one, known) if one.origin else lost) for one in found]


def _of(one: Trouble, known: Mapping[str, Known]) -> tuple[Known, ...]:
    return (known[one.origin],) if one.origin in known else ()


def _names(path: Path) -> Iterator[str]:
    """Yield the name of a log, and of those that its leaves say were given up; what cannot be read has none."""
    with contextlib.suppress(StoreError):
        with Snapshot(path) as log:
            yield log.origin
        for _, gone in given_up(path):
            yield from gone.logs


def set_aside(found: Trouble, now_us: int) -> GivenUp:
    """Rename a log file, and what SQLite has beside it, and return what became of it.  Raises StoreError."""
    with contextlib.closing(hold_lock(found.path)):
        _fold(found.path)
        name = aside(found.path.name, now_us)
        try:
            with found.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            for suffix in ("-wal", "-shm", ""):  # as long as the file itself is there, a start refuses it
                beside, target = (found.path.with_name(one + suffix) for one in (found.path.name, name))
                if target.exists():
                    raise FileExistsError(f"`{target}` is there already")
                if beside.exists():
                    beside.rename(target)
            key_files.sync(found.path.parent)
        except OSError as error:
            raise StoreError(f"cannot set `{found.path}` aside: {error}") from error
    return GivenUp(found.origin, found.size, found.known, found.why, name, digest, now_us, found.elsewhere)


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
