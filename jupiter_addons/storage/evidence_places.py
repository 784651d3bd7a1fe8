"""The places logs are read from: a file of evidence.db, or a log in PostgreSQL.  What reads them does not care which.

PostgreSQL's driver is an extra: it is imported when there is a log there to read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.evidence.verify import Row
from jupiter_addons.extras import POSTGRES
from jupiter_addons.storage import evidence_reader
from jupiter_addons.storage.evidence_reader import Snapshot

if TYPE_CHECKING:
    from jupiter_addons.storage.evidence_postgres_reader import PostgresSnapshot

MAX_ROLLUPS = 16
"""So many of the newest leaves that name other logs are read: one roll-up is a leaf, or a few if it is long."""


@dataclass(frozen=True, slots=True)
class ServerLog:
    """A log in PostgreSQL."""

    url: str = field(repr=False)
    origin: str

    @property
    def name(self) -> str:
        """What people know it by."""
        return self.origin.rpartition("/")[2]

    def exists(self) -> bool:
        """Whether it is there: it was, when it was found."""
        return True

    def __str__(self) -> str:
        return self.origin


type Place = Path | ServerLog


class LogSnapshot(Protocol):
    """A log as of one moment.  Everything raises StoreError."""

    origin: str
    size: int

    @property
    def has_tree(self) -> bool:
        """Whether tiles and checkpoints are kept: files of the first version have none."""

    def __enter__(self) -> Self:
        """Let it be closed at the end of a block."""

    def __exit__(self, *_: object) -> None:
        """Close it."""

    def rows(self, start: int = 0) -> Iterator[Row]:
        """Yield the leaves from a number on, in order."""

    def checkpoints(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield size and note of the checkpoints over more than so many leaves, by size."""

    def newest_checkpoint(self) -> tuple[int, bytes] | None:
        """Return size and note of the newest checkpoint."""

    def tiles(self, level: int, n: int) -> Sequence[bytes]:
        """Return the hashes of a tile, as many as there are."""

    def leaves_of(self, call_id: str) -> Sequence[Row]:
        """Return the leaves of one call."""

    def ciphertext(self, call_id: str, role: str) -> bytes | None:
        """Return what is stored of a body of a call."""


def snapshot(place: Place) -> LogSnapshot:
    """Open a log for reading, as of one moment.  Raises StoreError."""
    return Snapshot(place) if isinstance(place, Path) else in_postgres(place)


def in_postgres(place: ServerLog) -> "PostgresSnapshot":
    """Open a log in PostgreSQL for reading, as of one moment.  Raises StoreError."""
    try:
        from jupiter_addons.storage.evidence_postgres_reader import PostgresSnapshot
    except ImportError as error:
        raise StoreError(str(POSTGRES)) from error
    return PostgresSnapshot(place.url, place.origin)


def in_server(url: str) -> Sequence[ServerLog]:
    """Return the logs that are in a server, oldest first.  Raises StoreError."""
    try:
        from jupiter_addons.storage.evidence_postgres_reader import logs
    except ImportError as error:
        raise StoreError(str(POSTGRES)) from error
    return [ServerLog(url, origin) for origin in logs(url)]


def rows(place: Place) -> Iterator[Row]:
    """Yield all leaves of a log in order, as of one moment.  Raises StoreError."""
    with snapshot(place) as log:
        yield from log.rows()


def newest_checkpoint(place: Place, log_keys: Iterable[PublicKey]) -> Checkpoint | None:
    """Return the newest checkpoint of a log; None if it has none yet.  Raises StoreError if it cannot be trusted."""
    with snapshot(place) as log:
        found = log.newest_checkpoint()
    try:
        return checkpoint.opened(found[1], log_keys, strangers=True) if found else None
    except VerificationError as error:
        raise StoreError(f"the newest checkpoint of `{place}` cannot be trusted: {error}") from error


def rolled_up(place: Place) -> Sequence[Checkpoint]:
    """Return what the newest roll-ups of a log say of others.  Raises StoreError."""
    if isinstance(place, Path):
        leaves = evidence_reader.rollups(place)
    else:
        with in_postgres(place) as log:
            leaves = [row.leaf for row in islice(log.newest("rollup"), MAX_ROLLUPS)]
    found: dict[str, Checkpoint] = {}
    try:
        for leaf in reversed(leaves):
            for head in orjson.loads(leaf)["logs"]:
                found[head["log"]] = Checkpoint(head["log"], head["size"], bytes.fromhex(head["root"]))
    except (ValueError, LookupError, TypeError) as error:
        raise StoreError(f"a roll-up in `{place}` cannot be read; hint: jupiter evidence verify") from error
    return tuple(found.values())
