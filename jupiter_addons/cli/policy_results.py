"""What came of the cases of policies: as lines, as JSON, as JUnit XML."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import click

from jupiter_addons.cli.text import MAX_COLUMNS, counted
from jupiter_addons.policy.printing import one_line
from jupiter_addons.policy.trials import Coverage, Result

_WORDS = {"passed": "ok", "failed": "FAIL", "todo": "todo", "skipped": "skip"}


def show(results: Sequence[Result], covered: Coverage | None) -> None:
    """Print a line a case, what is different below those that failed, and how many there are."""
    for result in results:
        place = f"{result.trial.mark.file}:{result.trial.mark.line}:{result.trial.mark.column}"
        why = f": {', '.join(result.differences)}" if result.status in ("todo", "skipped") else ""
        click.echo(f"{_WORDS[result.status]:4}  {place}  {one_line(result.trial.name, MAX_COLUMNS)}{why}")
        if result.status == "failed":
            decision = result.decision
            by = f" by rule `{decision.rule}`" if decision is not None and decision.rule is not None else ""
            for line in (*result.differences, *([f"decided: {decision.verdict}{by}"] if decision is not None else [])):
                click.echo(f"      {line}")
    if covered is not None:
        _show_coverage(covered)
    counts = _counts(results)
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "there are none"
    click.echo(f"{counted(len(results), 'case')}: {said}")


def _show_coverage(covered: Coverage) -> None:
    for file, fired in covered.fired.items():
        never = covered.never[file]
        click.echo(f"{len(fired)} of {counted(len(fired) + len(never), 'rule')} fired in {file}")
        for name in never:
            click.echo(f"      never: {name}")


def _counts(results: Sequence[Result]) -> Mapping[str, int]:
    return {status: sum(result.status == status for result in results) for status in _WORDS}


def as_json(results: Sequence[Result], covered: Coverage | None) -> Mapping[str, Any]:
    """Return the results as JSON."""
    found: dict[str, Any] = {
        "ok": not any(result.status == "failed" for result in results),
        "summary": {"cases": len(results), **_counts(results)},
        "cases": [_row(result) for result in results],
    }
    if covered is not None:
        files = {file: {"fired": fired, "never": covered.never[file]} for file, fired in covered.fired.items()}
        found["coverage"] = {"percent": round(covered.percent, 1), "files": files}
    return found


def _row(result: Result) -> Mapping[str, Any]:
    decision, mark = result.decision, result.trial.mark
    return {
        "name": result.trial.name,
        "file": mark.file,
        "line": mark.line,
        "column": mark.column,
        "status": result.status,
        "differences": result.differences,
        "verdict": decision.verdict if decision is not None else None,
        "rule": decision.rule if decision is not None else None,
        "ms": round(1000 * result.seconds, 3),
    }


def as_junit(results: Sequence[Result]) -> str:
    """Return the results as JUnit XML: a suite a file."""
    top = ET.Element("testsuites", {"name": "jupiter policy test", **_totals(results)})
    for file, group in groupby(results, key=lambda result: result.trial.mark.file):
        several = list(group)
        suite = ET.SubElement(top, "testsuite", {"name": file, **_totals(several)})
        for result in several:
            case = ET.SubElement(
                suite,
                "testcase",
                name=_printable(result.trial.name),
                classname=file,
                file=file,
                line=str(result.trial.mark.line),
                time=f"{result.seconds:.6f}",
            )
            said = _printable("\n".join(result.differences))
            if result.status == "failed":
                ET.SubElement(case, "failure", message=said.partition("\n")[0]).text = said
            elif result.status != "passed":
                ET.SubElement(case, "skipped", message=said)
    ET.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(top, encoding="unicode")


def _totals(results: Sequence[Result]) -> dict[str, str]:
    counts = _counts(results)
    return {
        "tests": str(len(results)),
        "failures": str(counts["failed"]),
        "skipped": str(counts["todo"] + counts["skipped"]),
        "time": f"{sum(result.seconds for result in results):.6f}",
    }


def _printable(text: str) -> str:
    """Return text without the controls that XML has no way to write."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
