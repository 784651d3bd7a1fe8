"""The rows of the ordeal, and how they are run and reported.

A row is a function that raises AssertionError when the gateway fell short.  It is skipped only by raising Skipped with the
reason, and skipped rows are reported apart from those that passed.
"""

import importlib
import json
import pkgutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ordeal.stage import Stage

GATES = (
    "unpermitted_requests",
    "evidence_findings",
    "open_holds",
    "hangs",
    "tracebacks",
)
"""What must be zero over the whole run: requests that reached a provider without a durable decision, findings of the evidence's
verification, reservations left open, rows that had to be cut off, tracebacks and crashes in any log."""


class Skipped(Exception):
    """The row cannot be run here; the reason says what is missing."""


@dataclass(frozen=True)
class Row:
    """One fault and the outcome it must have."""

    id: str
    title: str
    run: Callable[[Stage], None]
    defence: str | None
    """The name in `defences` of what holds; switching it off must turn the row red.  None if there is no single one."""
    short: bool
    """Whether it belongs to the short form that runs with the tests."""

    @property
    def group(self) -> str:
        return self.id.split("-")[0]


ROWS: dict[str, Row] = {}


def row(id: str, title: str, *, defence: str | None = None, short: bool = False) -> Callable[[Any], Any]:
    """Register a function as a row."""

    def register(run: Callable[[Stage], None]) -> Callable[[Stage], None]:
        assert id not in ROWS, f"row {id} is there twice"
        ROWS[id] = Row(id, title, run, defence, short)
        return run

    return register


def load() -> None:
    """Import every module of rows."""
    folder = Path(__file__).parent
    for info in sorted(pkgutil.iter_modules([str(folder)]), key=lambda info: info.name):
        if info.name.startswith("rows_"):
            importlib.import_module(f"ordeal.{info.name}")


def select(only: Iterable[str], short: bool) -> list[Row]:
    """Return the rows wanted, in order; `only` names groups or single rows.  Raises LookupError for an unknown name."""
    wanted = list(only)
    known = set(ROWS) | {row.group for row in ROWS.values()}
    if unknown := [name for name in wanted if name not in known]:
        raise LookupError(f"no such row or group: {', '.join(unknown)}")
    chosen = [r for r in ROWS.values() if not wanted or r.id in wanted or r.group in wanted]
    return [r for r in chosen if r.short or not short]


@dataclass
class Report:
    """What came of a run."""

    gates: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GATES, 0))
    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    notes: dict[str, dict[str, object]] = field(default_factory=dict)
    """Figures a row wants to be known, such as `{"RE-06": {"resets": 500}}`."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        return not self.failed and not any(self.gates.values())

    def as_json(self) -> dict[str, Any]:
        """Return the report in its promised shape."""
        groups: dict[str, dict[str, Any]] = {}
        for id in sorted([*self.passed, *self.failed, *self.skipped]):
            group = groups.setdefault(id.split("-")[0], {"passed": 0, "total": 0, "failed": [], "skipped": []})
            group["total"] += 1
            if id in self.failed:
                group["failed"].append(id)
            elif id in self.skipped:
                group["skipped"].append(id)
            else:
                group["passed"] += 1
        return {"gates": self.gates, "groups": groups, "notes": self.notes, "seconds": round(self.seconds, 1)}


def run(rows: Iterable[Row], stage: Stage, say: Callable[[str], None]) -> Report:
    """Run the rows one after the other and return what came of them."""
    report, start = Report(), time.monotonic()
    for one in rows:
        began = time.monotonic()
        try:
            with stage.acting(one.id):
                one.run(stage)
            report.passed.append(one.id)
            word = "ok"
        except Skipped as reason:
            report.skipped[one.id] = str(reason)
            word = f"skipped: {reason}"
        except Exception as fault:
            report.failed[one.id] = _why(fault)
            word = f"FAILED: {_why(fault)}"
        if stage.figures:
            report.notes[one.id] = dict(stage.figures)
        say(f"{one.id:6} {time.monotonic() - began:6.1f} s  {one.title}: {word}")
    stage.close()
    report.gates = {gate: stage.gates.get(gate, 0) for gate in GATES}
    report.seconds = time.monotonic() - start
    return report


def _why(fault: Exception) -> str:
    last = traceback.extract_tb(fault.__traceback__)[-1]
    text = str(fault).strip().split("\n")[0][:300] or type(fault).__name__
    return f"{text} ({Path(last.filename).name}:{last.lineno})"


def show(report: Report, say: Callable[[str], None]) -> None:
    """Say the sums, the gates and every failure."""
    found = report.as_json()
    say("")
    for name, group in found["groups"].items():
        line = f"{name}: {group['passed']}/{group['total']} passed"
        line += f", failed {', '.join(group['failed'])}" if group["failed"] else ""
        line += f", skipped {', '.join(group['skipped'])}" if group["skipped"] else ""
        say(line)
    say("gates: " + ", ".join(f"{name} {count}" for name, count in report.gates.items()))
    say(f"{'the gateway held' if report.good else 'the gateway fell short'} in {report.seconds:.0f} s")


def dump(report: Report) -> None:
    """Write the report as one JSON object to standard output."""
    json.dump(report.as_json(), sys.stdout, indent=1)
    sys.stdout.write("\n")
