"""The timestamps of checkpoints, beside the anchors: two files each, as `openssl ts -verify -data … -in …` reads them.

    timestamps/<log>/0000000000000017.checkpoint      the signed note of 17 leaves, whose hash is stamped
    timestamps/<log>/0000000000000017.tsr             the authority's answer

All are kept: each proves that the leaves it covers were there by its time, and the oldest that covers a leaf proves most
of that leaf.  Nothing here is verified; who reads them does that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.storage import key_files

DIRECTORY = "timestamps"
CHECKPOINT, RESPONSE = ".checkpoint", ".tsr"
_DIGITS = 16
"""So that names are in the order of sizes."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A checkpoint, and what an authority has said of it; neither is verified."""

    size: int
    """How many leaves it is of, by the name of its file."""
    path: Path
    note: bytes = field(repr=False)
    response: bytes = field(repr=False)


class Stamps:
    """The timestamps in one directory of anchors."""

    def __init__(self, anchors: Path) -> None:
        self._directory = anchors / DIRECTORY

    def keep(self, origin: str, size: int, note: bytes, response: bytes) -> None:
        """Keep one, unless a checkpoint of that size has an older one.  Raises StoreError."""
        place = self._place(origin)
        stem = f"{size:0{_DIGITS}d}"
        if (place / f"{stem}{RESPONSE}").exists():
            return
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            key_files.replace(place / f"{stem}{CHECKPOINT}", note)
            key_files.replace(place / f"{stem}{RESPONSE}", response)
        except OSError as error:
            raise StoreError(f"cannot keep the timestamp of `{origin}`: {error}") from error

    def all(self) -> Iterator[Stamped]:
        """Yield those of all logs, of each by size.  Raises StoreError."""
        for path in sorted(self._directory.glob(f"*/*{RESPONSE}")):
            yield _read(path)

    def first_over(self, origin: str, size: int) -> Stamped | None:
        """Return the oldest of those over at least `size` leaves of a log; None if there is none.  Raises StoreError."""
        for path in sorted(self._place(origin).glob(f"*{RESPONSE}")):
            if _size(path) >= size:
                return _read(path)
        return None

    def _place(self, origin: str) -> Path:
        return self._directory / origin.rpartition("/")[2]


def _size(path: Path) -> int:
    if not path.stem.isdecimal():
        raise StoreError(f"`{path}` is not named like a timestamp")
    return int(path.stem)


def _read(path: Path) -> Stamped:
    try:
        return Stamped(_size(path), path, path.with_suffix(CHECKPOINT).read_bytes(), path.read_bytes())
    except OSError as error:
        raise StoreError(f"the timestamp `{path}` cannot be read: {error}") from error
