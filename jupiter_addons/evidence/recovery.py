"""Giving a log up: one that cannot be gone on with is set aside, and a leaf of another log says so for good.

A log of which the end is missing, or other leaves are there than somebody remembers, is not mended: any way to go on would
make it look as if nothing had happened.  What is left of it is kept, and what others remember of it is in the leaf.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jupiter_addons.evidence.record import Fields, control

UNKNOWN = -1
"""In a leaf: nobody could say."""


@dataclass(frozen=True, slots=True)
class Known:
    """How far a log is known to have come by somebody who keeps a checkpoint of it elsewhere."""

    log: str
    size: int
    root: str
    """In hexadecimal."""

    def __str__(self) -> str:
        return f"`{self.log}` of {self.size} {'leaf' if self.size == 1 else 'leaves'}"


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A log that was given up, as a leaf says."""

    log: str
    """Its origin; empty if it could not be read any more."""
    size: int
    """How many leaves could be read of it; UNKNOWN if none could."""
    known: int
    """How many leaves its anchor knew; UNKNOWN if there was none."""
    why: str
    kept_as: str
    """The name of the file it was set aside as."""
    sha256: str
    """Of that file."""
    t_us: int
    elsewhere: tuple[Known, ...] = ()
    """What anchors and others know of it.  If its origin could not be read: all they know that was in no other file."""

    @property
    def logs(self) -> tuple[str, ...]:
        """The origins of what was given up."""
        return (self.log, *(one.log for one in self.elsewhere))

    def __str__(self) -> str:
        there = "none of its leaves could be read" if self.size == UNKNOWN else f"{self.size} leaves are in it"
        if self.known != UNKNOWN:
            remembered = f"its anchor knew {self.known}"
        elif self.elsewhere:
            remembered = f"elsewhere is known {', '.join(map(str, self.elsewhere))}"
        else:
            remembered = "nobody remembered it"
        return f"`{self.log or '?'}` was given up and is kept as `{self.kept_as}`: {there}, {remembered}: {self.why}"


def given_up(one: GivenUp, by: str) -> Fields:
    """Return the leaf of a log that is given up by somebody, a pseudonym."""
    leaf = control(
        "recover", log=one.log, size=one.size, known=one.known, why=one.why, kept_as=one.kept_as, sha256=one.sha256,
        by=by, at_us=one.t_us,
    )  # fmt: skip
    if one.elsewhere:
        leaf["detail"]["elsewhere"] = [asdict(known) for known in one.elsewhere]
    return leaf


def read(leaf: Mapping[str, Any]) -> GivenUp | None:
    """Return what a leaf says was given up; None if it is about something else.  Raises LookupError, TypeError."""
    detail = leaf["detail"]
    if leaf["kind"] != "recover" or "log" not in detail:
        return None  # a writer that went on after a failure of its store
    return GivenUp(
        detail["log"],
        detail["size"],
        detail["known"],
        detail["why"],
        detail["kept_as"],
        detail["sha256"],
        detail["at_us"],
        tuple(Known(known["log"], known["size"], known["root"]) for known in detail.get("elsewhere", ())),
    )
