"""A clock that all processes of a host share, that no change of the wall clock moves, and that goes on after a reboot.

Within one boot it is the kernel's own, which counts while the machine sleeps, and an offset.  The next boot gets another,
so that the clock goes on from where it was last seen: while the machine is off it stands still.  For how long it was off only
the wall clock could tell, and a wall clock that is wrong would let windows run out that have not.  So what was taken before a
reboot counts for longer than its window by the time the machine was off, and never for less.

Where the kernel gives its boots no names (elsewhere than on Linux), a clock that is behind where it was means another boot.
"""

import time
from dataclasses import dataclass
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_ns() -> int:
    """Return nanoseconds since the machine was started."""
    return time.clock_gettime_ns(_CLOCK)


def boot_id() -> str:
    """Return the name of this boot; empty if it has none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What has to be kept of the clock."""

    boot: str
    offset_ns: int
    """To be added to what the kernel says in this boot."""
    seen_ns: int
    """What the clock said when it was last looked at."""


def anchored(last: Anchor | None, boot: str, kernel_ns: int) -> Anchor:
    """Return the anchor of a boot, in which the kernel says `kernel_ns` now."""
    if last is None:
        return Anchor(boot, 0, kernel_ns)
    now_ns = kernel_ns + last.offset_ns
    if boot == last.boot and (boot or now_ns >= last.seen_ns):
        return Anchor(boot, last.offset_ns, max(now_ns, last.seen_ns))
    return Anchor(boot, last.seen_ns - kernel_ns, last.seen_ns)
