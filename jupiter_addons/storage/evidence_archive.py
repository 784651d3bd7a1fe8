"""Putting a log into an archive: segment after segment, each as soon as it is full, and nothing that a call waits for.

The end of a log that hardly grows is archived as well, as a segment that is not full yet: once its first leaf has waited for
`archive_after`, or when somebody asks for it, because a prune may not take away what is not archived.

A segment is there when its manifest is: what a process left behind that died before that is found again, or written once
more.  What goes in is first held to the tree of the log, and the tree to the manifest of the segment before.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import orjson

from jupiter_addons.errors import JupiterError, StoreError
from jupiter_addons.evidence import archive, checkpoint
from jupiter_addons.evidence.archive import Manifest, Object, Said, tile_name
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import HASH_BYTES, TILE_WIDTH, Edge, Tile, edge_of, hash_leaf, nodes, root_of
from jupiter_addons.evidence.payload import attempt_role
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.evidence_places import LogSnapshot
from jupiter_addons.storage.signing_keys import Keys

logger = logging.getLogger(__name__)

AFTER_S = 3600.0
"""How long a leaf waits for others to fill its segment, if nothing else is said."""
STEP_S, LONGEST_PAUSE_S = 5.0, 300.0
"""How often it is looked whether a segment is full, and the longest pause after failures."""
SAID_BYTES = 8 * 1024 * 1024
"""About how much of what was said goes into one object."""


class Version(Protocol):
    """One version of an object."""

    @property
    def key(self) -> str:
        """Its name."""

    @property
    def id(self) -> str:
        """Which version it is."""

    @property
    def is_deletion(self) -> bool:
        """Whether it only says that the object is to look deleted."""


class Objects(Protocol):
    """A store of objects that cannot be deleted.  Everything raises StoreError."""

    def put(self, key: str, data: bytes, encoding: str | None = None) -> str:
        """Write an object, read it back, and return its version; `encoding` is what its reader is to undo."""

    def get(self, key: str, version: str) -> bytes:
        """Return a version of an object."""

    def versions(self, below: str) -> Iterator[Version]:
        """Yield all versions below a name, the newest of each object first."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is archived of the segment that is not full yet."""

    width: int = 0
    said: tuple[Object, ...] = ()


class Archivist:
    """Archives one log.  For one thread at a time."""

    def __init__(
        self,
        objects: Objects,
        reading: Callable[[], LogSnapshot],
        keys: Keys,
        keys_note: bytes,
        *,
        after_s: float = AFTER_S,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`reading` opens the log; `keys_note` is the signed manifest of keys, which goes along.

        `after_s` is how old the first leaf that is not archived may become; `clock` is UTC in nanoseconds.
        """
        self._objects = objects
        self._reading = reading
        self._keys = keys
        self._keys_note = keys_note
        self._after_us = int(after_s * 1_000_000)
        self._clock = clock
        self._edge: Edge | None = None
        """Of the full segments."""
        self._previous = "-"
        self._begun = _Begun()

    @property
    def archived(self) -> int:
        """How many leaves are archived, as far as is known."""
        return 0 if self._edge is None else self._edge.size + self._begun.width

    def step(self, *, tail: bool = False) -> bool:
        """Archive the next segment, if it is full; return whether there may be another.  Raises JupiterError.

        The last one need not be full if it has waited long enough, or if `tail` says so.
        """
        with self._reading() as log:
            if not log.origin:
                return False
            if self._edge is None:
                self._resume(log)
            assert self._edge is not None
            width = min(log.size - self._edge.size, TILE_WIDTH)
            if width == TILE_WIDTH or (width > self._begun.width and (tail or self._is_due(log))):
                self._archive(log, self._edge.copy(), width)
            return width == TILE_WIDTH

    def _is_due(self, log: LogSnapshot) -> bool:
        """Whether the first leaf that is not archived has waited long enough."""
        leaf = next(log.rows(self.archived)).leaf
        try:
            return bool(orjson.loads(leaf)["t_us"] + self._after_us <= self._clock() // 1000)
        except (ValueError, LookupError, TypeError) as error:
            raise StoreError(f"leaf {self.archived} cannot be read; hint: jupiter evidence verify") from error

    def _resume(self, log: LogSnapshot) -> None:
        """Find the last segment that is there, and what there is of the next.  Raises StoreError, VerificationError."""
        self._objects.put(f"keys/{self._keys.manifest.serial}", self._keys_note)
        base = _base(log.origin)
        found = dict[tuple[int, int], Version]()
        for one in self._objects.versions(f"{base}/manifest/"):
            place = archive.manifest_place(one.key.removeprefix(f"{base}/"))
            if place is not None and not one.is_deletion:
                found.setdefault(place, one)
        edge, begun = Edge(), _Begun()
        if full := [place for place in found if place[1] == TILE_WIDTH]:
            data, manifest = self._opened(found[max(full)])
            edge, self._previous = self._held_to(log, manifest), hashlib.sha256(data).hexdigest()
        number = edge.size // TILE_WIDTH
        if begun_of := [place for place in found if place[0] == number]:
            _, manifest = self._opened(found[max(begun_of)])
            self._held_to(log, manifest)
            begun = _Begun(manifest.width, _said_of(manifest))
        self._edge, self._begun = edge, begun

    def _opened(self, version: Version) -> tuple[bytes, Manifest]:
        data = self._objects.get(version.key, version.id)
        return data, archive.opened(data, self._keys.manifest.keys("log").values())

    def _held_to(self, log: LogSnapshot, manifest: Manifest) -> Edge:
        """Return the edge of a log where a manifest has been written.  Raises StoreError unless it is that log."""
        if manifest.origin != log.origin or manifest.size > log.size:
            raise StoreError(f"the archive has {manifest.size} leaves of `{manifest.origin}`, and the log {log.size}")
        edge = edge_of(manifest.size, log.tiles)
        if edge.root() != manifest.root:
            raise StoreError(f"the first {manifest.size} leaves of the log are not those that are archived")
        return edge

    def _archive(self, log: LogSnapshot, edge: Edge, width: int) -> None:
        first, segment = edge.size, edge.size // TILE_WIDTH
        rows = list(islice(log.rows(first), width))
        if [row.idx for row in rows] != list(range(first, first + width)):
            raise StoreError(f"leaf {first} or one after it is missing; hint: jupiter evidence verify")
        filled = [tile for row in rows for tile in edge.append(hash_leaf(row.leaf))]
        if edge.root() != root_of(edge.size, nodes(log.tiles)):
            raise StoreError(f"segment {segment} is not what its tree was grown over; hint: jupiter evidence verify")
        base = _base(log.origin)
        note = checkpoint.sign(Checkpoint(log.origin, edge.size, edge.root()), self._keys.log).encode()
        unsaid = Manifest(log.origin, segment, edge.root(), self._previous, (), width)
        named = (
            *(self._put(base, name, data) for name, data in _tree_objects(unsaid, rows, filled, edge, note)),
            *self._begun.said,
            *(self._put(base, name, data) for name, data in _said_objects(unsaid, log, rows[self._begun.width :])),
        )
        manifest = replace(unsaid, objects=named)
        data = archive.sign(manifest, self._keys.log)
        self._objects.put(f"{base}/{manifest.name}", data)
        self._objects.put(f"{base}/checkpoint", note)
        if width == TILE_WIDTH:
            self._edge, self._begun, self._previous = edge, _Begun(), hashlib.sha256(data).hexdigest()
        else:
            self._begun = _Begun(width, _said_of(manifest))

    def _put(self, base: str, name: str, data: bytes) -> Object:
        encoding = "gzip" if name.startswith(archive.ENTRIES) else None
        version = self._objects.put(f"{base}/{name}", data, encoding)
        return Object(name, hashlib.sha256(data).hexdigest(), len(data), version)


def _base(origin: str) -> str:
    return origin.rpartition("/")[2]


def _said_of(manifest: Manifest) -> tuple[Object, ...]:
    return tuple(one for one in manifest.objects if one.name.startswith(archive.SAID))


def _tree_objects(
    of: Manifest, rows: list[Row], filled: list[Tile], edge: Edge, note: bytes
) -> Iterator[tuple[str, bytes]]:
    """Yield the leaves of a segment and all that is new of the tree at its end, by name."""
    yield of.object_name(archive.ENTRIES), archive.pack_leaves(row.leaf for row in rows)
    yield of.object_name("signatures"), b"".join(row.signature for row in rows)
    full = [tile for tile in filled if len(tile.hashes) == TILE_WIDTH * HASH_BYTES]
    for tile in (*full, *edge.partial()):
        yield tile_name(f"tile/{tile.level}", tile.n, len(tile.hashes) // HASH_BYTES), tile.hashes
    yield f"checkpoints/{of.size}", note


def _said_objects(of: Manifest, log: LogSnapshot, rows: list[Row]) -> Iterator[tuple[str, bytes]]:
    """Yield what was said with leaves, by name."""
    for number, chunk in enumerate(_chunks(_said(log, rows))):
        yield f"{of.object_name(archive.SAID)}-{number}", archive.pack_said(chunk)


def _said(log: LogSnapshot, rows: list[Row]) -> Iterator[Said]:
    """Yield what was said with leaves, as far as it is still there."""
    for row in rows:
        leaf = orjson.loads(row.leaf)
        for entry in leaf.get("payload", ()):
            if (key := entry.get("key")) is None:
                continue
            number = leaf.get("attempt", {}).get("number")
            role = entry["role"] if number is None else attempt_role(number)
            if (ciphertext := log.ciphertext(leaf["id"], role)) is not None:
                yield Said(row.idx, leaf["id"], role, key, ciphertext)


def _chunks(said: Iterator[Said]) -> Iterator[list[Said]]:
    chunk, size = list[Said](), 0
    for one in said:
        chunk.append(one)
        size += len(one.ciphertext)
        if size >= SAID_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class Archiving:
    """The thread that archives while a gateway runs."""

    def __init__(self, archivist: Archivist) -> None:
        self._archivist = archivist
        self._stopping = False
        self._asked = threading.Event()
        """Whether somebody waits for all of it."""
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence-archive", daemon=True)
        self._thread.start()

    def archived(self) -> int:
        """Return how many leaves are archived, as far as is known, and have those archived soon that are not."""
        if not self._asked.is_set():  # or a store that fails would be asked as often as this is
            self._asked.set()
            self._wake.set()
        return self._archivist.archived

    def stop(self) -> None:
        """End it after the object that is being written."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = STEP_S
        while not self._stopping:
            self._wake.clear()
            tail = self._asked.is_set()
            try:
                while self._archivist.step(tail=tail) and not self._stopping:
                    pass
            except JupiterError as error:
                # A warning: mitmproxy ends a start in which an error is logged, and nothing waits for the archive.
                logger.warning("the evidence is not archived, and will be later: %s", error)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except Exception:
                logger.exception("archiving the evidence failed")
                pause_s = LONGEST_PAUSE_S
            else:
                pause_s = STEP_S
                if tail:
                    self._asked.clear()
            self._wake.wait(pause_s)
