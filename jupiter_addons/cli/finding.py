"""What `jupiter doctor` finds, one row each, and how it is shown.

ok    gateway            127.0.0.1:8080 is ready
fail  NO_PROXY           leads round the gateway to api.openai.com
      take it out of NO_PROXY, or start the program with `jupiter exec -- CMD`
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import click

from jupiter_addons.cli.text import columns, counted

Level = Literal["ok", "warn", "fail"]

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_LEVEL_COLUMNS, _MOST_NAME_COLUMNS = 6, 28


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    name: str
    found: str
    advice: str | None = None


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the table, and the sum at its end."""
    width = min(max((len(finding.name) for finding in findings), default=0), _MOST_NAME_COLUMNS)
    indent = " " * (2 + _LEVEL_COLUMNS)
    for finding in findings:
        level = click.style(f"{finding.level:{_LEVEL_COLUMNS}}", fg=_COLOURS[finding.level])
        room = columns() - len(indent) - width - 2
        first, *rest = _wrapped(finding.found, room)
        yield f"  {level}{_plain(finding.name):{width}}  {first}"
        rest += _wrapped(f"→ {finding.advice}", room) if finding.advice is not None else []
        yield from (f"{indent}{'':{width}}  {line}" for line in rest)
    failed, warned = (sum(finding.level == level for finding in findings) for level in ("fail", "warn"))
    yield ""
    if not failed and not warned:
        yield f"{counted(len(findings), 'check')}, and all is well"
    else:
        said = [f"{failed} failed"] * bool(failed) + [counted(warned, "warning")] * bool(warned)
        yield f"{counted(len(findings), 'check')}: {', '.join(said)}"


def report(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return the findings for a program."""
    shown = list(findings)
    return {"ok": is_well(shown), "checks": [asdict(finding) for finding in shown]}


def is_well(findings: Iterable[Finding]) -> bool:
    """Whether nothing has failed."""
    return all(finding.level != "fail" for finding in findings)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(_plain(text), max(width, 30), break_long_words=False, break_on_hyphens=False) or [""]


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
