"""Anchors: the newest checkpoint of each log as a file in another directory, better on another disk or host.

Signed leaves do not show that the last of them are missing, nor that a whole log is.  Somebody who remembers how far a log
had come does.  An anchor never goes back: a checkpoint of a smaller log in its place would forget what it is there to
remember.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.signing import PublicKey

SUFFIX = ".checkpoint"


class Anchors:
    """The anchors in one directory."""

    def __init__(self, directory: Path, log_keys: Iterable[PublicKey]) -> None:
        self._directory = directory
        self._log_keys = tuple(log_keys)

    def read(self, origin: str) -> Checkpoint | None:
        """Return what is remembered of a log; None if nothing is.  Raises StoreError if it cannot be read or trusted."""
        path = self._file(origin)
        return self._opened(path) if path.exists() else None

    def all(self) -> Iterator[Checkpoint]:
        """Yield what is remembered of all logs.  Raises StoreError."""
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            yield self._opened(path)

    def believed(self) -> Iterator[Checkpoint]:
        """Yield what is remembered of all logs, but for anchors that cannot be read or trusted."""
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            if self.believes(path):
                yield self._opened(path)

    def believes(self, path: Path) -> bool:
        """Whether an anchor in the directory can be read and trusted."""
        try:
            self._opened(path)
        except StoreError:
            return False
        return True

    def keep(self, note: str) -> None:
        """Remember a checkpoint in place of an older one.  Raises StoreError if it does not come after that."""
        newer = self._verified(note.encode(), "the new checkpoint")
        older = self.read(newer.origin)
        if older is not None and (older.size > newer.size or (older.size == newer.size and older.root != newer.root)):
            raise StoreError(f"`{self._file(newer.origin)}` knows {older.size} leaves already, and is not taken back")
        try:
            self._write(self._file(newer.origin), note.encode())
        except OSError as error:
            raise StoreError(f"cannot write the anchor of `{newer.origin}`: {error}") from error

    def _file(self, origin: str) -> Path:
        return self._directory / f"{origin.rpartition('/')[2]}{SUFFIX}"

    def _opened(self, path: Path) -> Checkpoint:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot read the anchor `{path}`: {error}") from error
        found = self._verified(data, f"the anchor `{path}`")
        if self._file(found.origin) != path:
            raise StoreError(f"the anchor `{path}` is of another log, `{found.origin}`")
        return found

    def _verified(self, data: bytes, what: str) -> Checkpoint:
        try:
            return checkpoint.opened(data, self._log_keys, strangers=True)
        except VerificationError as error:
            raise StoreError(f"{what} cannot be trusted: {error}") from error

    def _write(self, path: Path, data: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
