"""Whether a log is without gaps, and whose keys it names: leaves that are missing, ends that were not orderly, silence.

This reads what leaves say.  Whether they say it truly is `verify`'s to find.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from jupiter_addons.evidence.verify import Row

SILENCE = 2.5
"""A log that promises a heart-beat every so often has fallen silent after so many times that."""

_MILESTONES = ("recover", "key.rotate", "erase", "prune", "export")


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that should have been there."""

    idx: int
    """The first leaf after it."""
    t_us: int
    what: str


@dataclass(slots=True)
class Continuity:
    """What a reading of a log saw."""

    leaves: int = 0
    first: int = 0
    """The first that is there; those before it were pruned, or are a gap."""
    keys: Counter[str] = field(default_factory=Counter)
    """Leaves by the key they name."""
    kinds: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    milestones: Counter[str] = field(default_factory=Counter)
    """Recoveries, rotations, erasures, prunes, exports."""
    gaps: list[Gap] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "leaves": self.leaves,
            "first": self.first,
            "keys": dict(self.keys),
            "kinds": dict(self.kinds),
            "starts": self.starts,
            "milestones": dict(self.milestones),
            "gaps": [{"idx": gap.idx, "t_us": gap.t_us, "what": gap.what} for gap in self.gaps],
        }


def continuity(rows: Iterable[Row]) -> Continuity:
    """Return what a reading of a log in order sees."""
    found = Continuity()
    expected: int | None = None
    orderly, heartbeat_us, last_us = True, 0, 0
    first_us = may_go = 0
    for row in rows:
        fields = _fields(row)
        kind, t_us, detail = str(fields.get("kind")), _number(fields, "t_us"), fields.get("detail")
        found.leaves += 1
        found.kinds[kind] += 1
        found.keys[str(fields.get("kid"))] += 1
        if expected is not None and row.idx != expected:
            _gap(found, row, t_us, f"{row.idx - expected} leaves are missing")
        elif expected is None:
            found.first = row.idx
            first_us = t_us
        if kind == "log.open":
            found.starts += 1
            if not orderly:
                _gap(found, row, t_us, "the process before this one ended without a word: killed, or its power was cut")
            heartbeat_us = _number(detail, "heartbeat_s") * 1_000_000
        elif heartbeat_us and t_us - last_us > SILENCE * heartbeat_us:
            _gap(found, row, t_us, f"nothing for {(t_us - last_us) // 1_000_000} s, not even a heart-beat")
        if kind in _MILESTONES:
            found.milestones[kind] += 1
        expected, orderly, last_us = row.idx + 1, kind == "log.close", t_us
        if kind == "prune":
            may_go = max(may_go, _number(detail, "upto"))
    if found.first > may_go:
        found.gaps.insert(0, Gap(found.first, first_us, f"{found.first} leaves are missing, and nothing says they may"))
    return found


def _fields(row: Row) -> dict[str, Any]:
    """Return what a leaf says; nothing if it cannot be read, which is for `verify` to find."""
    try:
        fields = orjson.loads(row.leaf)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _number(fields: Any, name: str) -> int:
    """Return a number that a leaf says; 0 if it says none."""
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, int) else 0


def _gap(found: Continuity, row: Row, t_us: int, what: str) -> None:
    found.gaps.append(Gap(row.idx, t_us, what))
