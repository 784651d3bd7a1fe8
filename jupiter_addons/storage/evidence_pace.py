"""Whether the event loop may commit by itself, or the writer thread does it.

Two hand-overs between threads cost more CPU than a small commit on a fast disk.  But a commit on the event loop is time in
which nothing else happens, so it is made there only while commits are fast and far apart; one that was slow sends all that
follow to the thread, for so many commits that slow ones stay below one in a hundred.
"""

from dataclasses import dataclass

FAST_S = 0.0005
"""A commit that took longer is slow: half of what the event loop may be held up by."""
PROBATION = 200
"""So many fast commits of the thread must follow a slow one."""
AT_START = 8
SHARE = 4
"""The event loop is left alone this many times as long as a commit takes, before it makes another."""


@dataclass(slots=True)
class Pace:
    """What recent commits took.  Times are of a monotonic clock, in seconds."""

    _probation: int = AT_START
    _typical_s: float = FAST_S
    _ended_s: float = 0.0

    def note(self, started_s: float, ended_s: float, *, inline: bool) -> None:
        """Take a commit into account."""
        took_s = ended_s - started_s
        self._ended_s = ended_s
        self._typical_s += (took_s - self._typical_s) / 8
        if took_s > FAST_S:
            self._probation = PROBATION if inline or not self._probation else max(self._probation, AT_START)
        elif self._probation:
            self._probation -= 1

    def allows(self, now_s: float) -> bool:
        """Whether the event loop may make the next commit."""
        return not self._probation and now_s - self._ended_s >= SHARE * self._typical_s

    def hold(self) -> None:
        """Leave commits to the thread until it has shown again that they are fast."""
        self._probation = PROBATION
