"""What limits.db knows of itself: whether it was told what was taken, which journal it has taken over, and what time it is.

Every function is part of a transaction that whoever calls it has begun, and raises apsw.Error.
"""

from typing import Any, Literal

import apsw

from jupiter_addons.storage.limits_journal import Step
from jupiter_addons.storage.steady import Anchor, anchored

type Doubt = Literal["lost", "stale"]
"""`lost`: nothing is known of what was taken.  `stale`: what was taken last may be missing, because the machine was started
anew, or the files are not of one moment."""


def doubt(cursor: apsw.Cursor) -> Doubt | None:
    """Return whether what is counted may not be what was taken."""
    kept = _kept(cursor)
    return "lost" if "restored" not in kept else "stale" if "stale" in kept else None


def restored(cursor: apsw.Cursor) -> None:
    """Note that it was told what was taken."""
    cursor.execute("INSERT OR REPLACE INTO meta VALUES ('restored', 1)")


def vouched(cursor: apsw.Cursor) -> None:
    """Note that nothing is missing."""
    cursor.execute("DELETE FROM meta WHERE name = 'stale'")


def missing(cursor: apsw.Cursor) -> None:
    """Note that something may be missing."""
    cursor.execute("INSERT OR REPLACE INTO meta VALUES ('stale', 1)")


def generation(cursor: apsw.Cursor) -> int:
    """Return which journal was taken over last; 0: none ever was."""
    return int(_kept(cursor).get("steps", 0))


def took_over(cursor: apsw.Cursor, generation: int) -> None:
    """Note which journal was taken over."""
    cursor.execute("INSERT OR REPLACE INTO meta VALUES ('steps', ?)", (generation,))


def due(cursor: apsw.Cursor, found: int, steps: list[Step], *, is_torn: bool) -> list[Step]:
    """Return the steps that are to be taken over of a journal of generation `found`, and note that they are.

    A journal is of the generation after the last, or of the last one, if the process died before it began another.  Without
    one, or with one that is newer, the files are not of one moment: one of them was taken away, or is a backup.
    """
    last, is_lost = generation(cursor), doubt(cursor) == "lost"
    if not is_lost and (not last <= found <= last + 1 or (is_torn and found > last)):
        missing(cursor)
    took_over(cursor, found)
    return steps if found > last and not is_lost else []  # a database that was made anew will be told everything


def found_time(cursor: apsw.Cursor, boot: str, kernel_ns: int) -> Anchor:
    """Return and note what time it is, in a boot in which the kernel says `kernel_ns`."""
    kept = _kept(cursor)
    last = Anchor(kept["boot"], kept["offset_ns"], kept["seen_ns"]) if "boot" in kept else None
    anchor = anchored(last, boot, kernel_ns)
    if last is not None and (last.boot, last.offset_ns) != (anchor.boot, anchor.offset_ns):
        missing(cursor)
    keep_time(cursor, anchor)
    return anchor


def keep_time(cursor: apsw.Cursor, anchor: Anchor) -> None:
    """Note what time it is."""
    values = (("boot", anchor.boot), ("offset_ns", anchor.offset_ns), ("seen_ns", anchor.seen_ns))
    cursor.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)


def _kept(cursor: apsw.Cursor) -> dict[str, Any]:
    rows: list[Any] = cursor.execute("SELECT name, value FROM meta").fetchall()
    return dict(rows)
