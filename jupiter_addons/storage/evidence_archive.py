"""Putting a log into an archive: segment after segment, each as soon as it is full, and nothing that a call waits for.

A segment is there when its manifest is: what a process left behind that died before that is found again, or written once
more.  What goes in is first held to the tree of the log, and the tree to the manifest of the segment before.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

import orjson

from jupiter_addons.errors import JupiterError, StoreError
from jupiter_addons.evidence import archive, checkpoint
from jupiter_addons.evidence.archive import Manifest, Object, Said, tile_name
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import TILE_WIDTH, Edge, Tile, edge_of, hash_leaf, nodes, root_of
from jupiter_addons.evidence.payload import attempt_role
from jupiter_addons.evidence.verify import Row
from jupiter_addons.storage.evidence_places import LogSnapshot
from jupiter_addons.storage.signing_keys import Keys

logger = logging.getLogger(__name__)

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

    def put(self, key: str, data: bytes) -> str:
        """Write an object, read it back, and return its version."""

    def get(self, key: str, version: str) -> bytes:
        """Return a version of an object."""

    def versions(self, below: str) -> Iterator[Version]:
        """Yield all versions below a name, the newest of each object first."""


class Archivist:
    """Archives one log."""

    def __init__(self, objects: Objects, reading: Callable[[], LogSnapshot], keys: Keys, keys_note: bytes) -> None:
        """`reading` opens the log; `keys_note` is the signed manifest of keys, which goes along."""
        self._objects = objects
        self._reading = reading
        self._keys = keys
        self._keys_note = keys_note
        self._edge: Edge | None = None
        self._previous = "-"

    @property
    def archived(self) -> int:
        """How many leaves are archived, as far as is known."""
        return 0 if self._edge is None else self._edge.size

    def step(self) -> bool:
        """Archive the next segment, if it is full; return whether there may be another.  Raises JupiterError."""
        with self._reading() as log:
            if not log.origin:
                return False
            if self._edge is None:
                self._resume(log)
            assert self._edge is not None
            if log.size < self._edge.size + TILE_WIDTH:
                return False
            self._archive(log, self._edge.copy())
            return True

    def _resume(self, log: LogSnapshot) -> None:
        """Find the last segment that is there.  Raises StoreError, VerificationError."""
        self._objects.put(f"keys/{self._keys.manifest.serial}", self._keys_note)
        base = _base(log.origin)
        found = [one for one in self._objects.versions(f"{base}/manifest/") if not one.is_deletion]
        if not found:
            self._edge, self._previous = Edge(), "-"
            return
        last = max(found, key=lambda one: _number(one.key))
        data = self._objects.get(last.key, last.id)
        manifest = archive.opened(data, self._keys.manifest.keys("log").values())
        if manifest.origin != log.origin or manifest.size > log.size:
            raise StoreError(f"the archive has {manifest.size} leaves of `{manifest.origin}`, and the log {log.size}")
        edge = edge_of(manifest.size, log.tiles)
        if edge.root() != manifest.root:
            raise StoreError(f"the first {manifest.size} leaves of the log are not those that are archived")
        self._edge, self._previous = edge, hashlib.sha256(data).hexdigest()

    def _archive(self, log: LogSnapshot, edge: Edge) -> None:
        segment = edge.size // TILE_WIDTH
        rows = list(islice(log.rows(edge.size), TILE_WIDTH))
        if [row.idx for row in rows] != list(range(edge.size, edge.size + TILE_WIDTH)):
            raise StoreError(f"leaf {edge.size} or one after it is missing; hint: jupiter evidence verify")
        filled = [tile for row in rows for tile in edge.append(hash_leaf(row.leaf))]
        if edge.root() != root_of(edge.size, nodes(log.tiles)):
            raise StoreError(f"segment {segment} is not what its tree was grown over; hint: jupiter evidence verify")
        base = _base(log.origin)
        head = Checkpoint(log.origin, edge.size, edge.root())
        objects = [
            self._put(base, name, data)
            for name, data in _objects(log, rows, filled, segment, checkpoint.sign(head, self._keys.log))
        ]
        manifest = Manifest(log.origin, segment, edge.root(), self._previous, tuple(objects))
        data = archive.sign(manifest, self._keys.log)
        self._objects.put(f"{base}/manifest/{segment:08}", data)
        self._edge, self._previous = edge, hashlib.sha256(data).hexdigest()

    def _put(self, base: str, name: str, data: bytes) -> Object:
        version = self._objects.put(f"{base}/{name}", data)
        return Object(name, hashlib.sha256(data).hexdigest(), len(data), version)


def _base(origin: str) -> str:
    return origin.rpartition("/")[2]


def _number(key: str) -> int:
    text = key.rpartition("/")[2]
    return int(text) if text.isdecimal() else -1


def _objects(
    log: LogSnapshot, rows: list[Row], filled: list[Tile], segment: int, note: str
) -> Iterator[tuple[str, bytes]]:
    """Yield what makes a segment, by name."""
    yield tile_name("tile/entries", segment), archive.pack_leaves(row.leaf for row in rows)
    yield tile_name("signatures", segment), b"".join(row.signature for row in rows)
    for tile in filled:
        if len(tile.hashes) == TILE_WIDTH * 32:
            yield tile_name(f"tile/{tile.level}", tile.n), tile.hashes
    for number, chunk in enumerate(_chunks(_said(log, rows))):
        yield f"{tile_name('payload', segment)}-{number}", archive.pack_said(chunk)
    yield f"checkpoints/{(segment + 1) * TILE_WIDTH}", note.encode()


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
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evidence-archive", daemon=True)
        self._thread.start()

    def archived(self) -> int:
        """Return how many leaves are archived, as far as is known."""
        return self._archivist.archived

    def stop(self) -> None:
        """End it after the object that is being written."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = STEP_S
        while not self._stopping.is_set():
            try:
                while self._archivist.step() and not self._stopping.is_set():
                    pass
            except JupiterError as error:
                logger.error("the evidence is not archived, and will be later: %s", error)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            except Exception:
                logger.exception("archiving the evidence failed")
                pause_s = LONGEST_PAUSE_S
            else:
                pause_s = STEP_S
            self._stopping.wait(pause_s)
