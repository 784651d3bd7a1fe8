"""What a process that has limits.db to itself has counted since it last wrote to it: a file of steps, one write each.

A step is whole or not there: what is read back has the digest it was written with.  A step that was written survives the
process, however it ends; a power cut it may not survive, as little as what was committed to the database and not synced.

The file belongs to one generation, and the database says which one it has taken over last: so a step counts once, whether the
process died before the database was written, after it, or after the file was emptied.
"""

import os
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import msgpack

from jupiter_addons.errors import StoreError

MAX_BYTES = 4 << 20
"""A file that is longer is to be taken over into the database."""

_MAGIC = b"JLJ1"
_HEAD = struct.Struct("<4sQI")
_STEP = struct.Struct("<II")

type Row = tuple[str, str, float | None, bytes | None, int, int]
"""A counter as it is now: subject, series, end of its period, state, held, until when it matters; without a state and with
nothing held it is forgotten."""


class Step(NamedTuple):
    """What one method of a store has changed."""

    rows: list[Row]
    kept: list[tuple[str, int, bytes]]
    """Open holds: call, end of the lease, body."""
    gone: list[tuple[str, str]]
    """Calls that are forgotten, and the table of each."""


class Journal:
    """The file of one database, open and locked by whoever hands over its descriptor."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self.generation = 0
        self._end = 0

    @property
    def is_empty(self) -> bool:
        """Whether no step was written in this generation."""
        return self._end <= _HEAD.size

    @property
    def is_long(self) -> bool:
        """Whether it is time to take it over into the database."""
        return self._end > MAX_BYTES

    def begin(self, generation: int) -> None:
        """Empty the file, for steps of a new generation.  Raises OSError."""
        head = _HEAD.pack(_MAGIC, generation, zlib.crc32(b"%d" % generation))
        os.ftruncate(self._fd, min(len(head), os.fstat(self._fd).st_size))  # an empty file would be one that is missing
        self._put(head, 0)
        self.generation, self._end = generation, len(head)

    def append(self, step: Step) -> None:
        """Write a step.  Raises OSError; it may be there in part then, and is not taken for one when it is read."""
        body = msgpack.packb(step)
        entry = _STEP.pack(len(body), zlib.crc32(body, self.generation & 0xFFFFFFFF)) + body
        self._put(entry, self._end)
        self._end += len(entry)

    def read(self) -> tuple[int, list[Step], bool]:
        """Return the generation in the file, its steps, and whether anything else follows; 0 if it is new.

        Raises OSError, StoreError.
        """
        size = os.fstat(self._fd).st_size
        data = b""
        while len(data) < size and (more := os.pread(self._fd, size - len(data), len(data))):
            data += more
        if len(data) < _HEAD.size:
            return 0, [], False
        magic, generation, digest = _HEAD.unpack_from(data)
        if magic != _MAGIC or digest != zlib.crc32(b"%d" % generation):
            raise StoreError(f"`{self.path}` is not what was written")
        steps, at = [], _HEAD.size
        while at + _STEP.size <= len(data):
            length, digest = _STEP.unpack_from(data, at)
            body = data[at + _STEP.size : at + _STEP.size + length]
            if len(body) < length or zlib.crc32(body, generation & 0xFFFFFFFF) != digest:
                break
            steps.append(_step(body))
            at += _STEP.size + length
        return generation, steps, at < len(data)

    def _put(self, data: bytes, at: int) -> None:
        written = os.pwrite(self._fd, data, at)
        if written < len(data):
            raise OSError(f"{written} of {len(data)} bytes were written")


def _step(body: bytes) -> Step:
    found: Any = msgpack.unpackb(body)
    return Step(*found)
