"""Giving a log up: one that cannot be gone on with is set aside, and a leaf of another log says so for good.

A log of which the end is missing, or other leaves are there than somebody remembers, is not mended: any way to go on would
make it look as if nothing had happened.  What is left of it is kept, and what others remember of it is in the leaf.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupiter_addons.evidence.record import Fields, control

UNKNOWN = -1
"""In a leaf: nobody could say."""


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

    def __str__(self) -> str:
        there = "none of its leaves could be read" if self.size == UNKNOWN else f"{self.size} leaves are in it"
        remembered = "nobody remembered it" if self.known == UNKNOWN else f"its anchor knew {self.known}"
        return f"`{self.log or '?'}` was given up and is kept as `{self.kept_as}`: {there}, {remembered}: {self.why}"


def given_up(one: GivenUp, by: str) -> Fields:
    """Return the leaf of a log that is given up by somebody, a pseudonym."""
    return control(
        "recover", log=one.log, size=one.size, known=one.known, why=one.why, kept_as=one.kept_as, sha256=one.sha256,
        by=by, at_us=one.t_us,
    )  # fmt: skip


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
    )
