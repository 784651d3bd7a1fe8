"""Who uses limits.db: many processes, or one that has it to itself and may keep what it counts in memory.

All of them hold a lock on one file, which ends with the process, however it ends.  Whoever is alone gives way: who wants to
come in leaves a mark, and waits until the other has seen it.  Locks of open file descriptions turn from shared to exclusive
and back in one step (fcntl(2), F_OFD_SETLK); where there are none, nobody is ever alone.
"""

import fcntl
import os
import struct
import time
from pathlib import Path

from jupiter_addons.errors import StoreError

LOOK_S = 0.02
"""How often it is looked whether the way is free."""
WAITS_S = 10.0
"""A mark that was not made anew for so long is that of a process that is gone."""

_SET_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)
_LOCK = struct.Struct("hhqqi")
"""`struct flock`: type, whence, start, length, process."""


class Presence:
    """One process's lock on a file."""

    def __init__(self, path: Path) -> None:
        """Open the file, and create it as this user's alone.  Raises OSError."""
        self.path = path
        self._mark = path.with_name(f"{path.name}-wanted")
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for a process that is alone, and is still there."""
        try:
            return abs(time.time() - self._mark.stat().st_mtime) < WAITS_S  # a clock may have been set back
        except FileNotFoundError:
            return False

    @property
    def is_there(self) -> bool:
        """Whether the file is still the one that others would open."""
        try:
            return self.path.stat().st_ino == os.fstat(self.fd).st_ino
        except FileNotFoundError:
            return False

    def be_alone(self) -> bool:
        """Have the file alone, if nobody else uses it."""
        return _SET_LOCK is not None and self._lock(fcntl.F_WRLCK)

    def share(self, patience_s: float) -> None:
        """Use it with others; a process that was alone goes on as one of them.  Raises StoreError if one does not give way."""
        until_s = time.monotonic() + patience_s
        waits = False
        while not self._lock(fcntl.F_RDLCK):
            waits = True
            if time.monotonic() >= until_s:
                raise StoreError(f"another process has `{self.path}` to itself and does not give way")
            self._mark.touch(mode=0o600)
            time.sleep(LOOK_S)
        if waits:
            self._mark.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go."""
        os.close(self.fd)

    def _lock(self, kind: int) -> bool:
        if _SET_LOCK is None:
            return True
        try:
            fcntl.fcntl(self.fd, _SET_LOCK, _LOCK.pack(kind, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError):
            return False
        return True
