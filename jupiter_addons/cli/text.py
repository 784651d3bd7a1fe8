"""Text for a terminal: as wide as it is, and problems with the line they are about.

    rules.yaml:12:15: error: unknown operator `matchs`
        12 |     operator: matchs
           |               ^^^^^^
      hint: did you mean `matches`?

What a file holds is shown as far as it prints: nothing in it acts on a terminal.
"""

import re
import shutil
import textwrap
import unicodedata
from collections.abc import Iterator

from jupiter_addons.errors import Problem

MAX_COLUMNS = 120
"""Longer lines are not read with ease."""
MARGIN = 12
"""How many columns of a line before the place are shown at least, where the line is too long to be shown whole."""

_WORD = re.compile(r'"[^"]*"|\'[^\']*\'|[{\[]|[^\s,:\]}]+')
"""What is marked: a quoted text, or what stands together."""


def columns() -> int:
    """Return how wide text may be."""
    return min(shutil.get_terminal_size().columns, MAX_COLUMNS)


def counted(count: int, word: str, many: str | None = None) -> str:
    """Return a number and what is counted: `1 rule`, `2 rules`; `many` where that is not made with an s."""
    return f"{count} {word}" if count == 1 else f"{count} {many or f'{word}s'}"


def placed(problem: Problem) -> str:
    """Return where a problem is: `file:line:column`, as far as it is known."""
    return ":".join([problem.file, *(str(number) for number in (problem.line, problem.column) if number)])


def problem_lines(problem: Problem, kind: str, data: bytes) -> Iterator[str]:
    """Yield a problem as lines: place, kind and message, the line it is about, and the hint."""
    yield f"{placed(problem)}: {kind}: {problem.message}"
    yield from excerpt(problem, data, columns())
    if problem.hint:
        yield from textwrap.wrap(f"hint: {problem.hint}", columns(), initial_indent="  ", subsequent_indent="  ")


def excerpt(problem: Problem, data: bytes, width: int) -> Iterator[str]:
    """Yield two lines of at most `width` columns; none for a problem of the whole file."""
    lines = data.decode("utf-8", "replace").splitlines()
    if not 0 < problem.line <= len(lines) or problem.column < 1:
        return
    gutter = f"{problem.line:>6} | "
    room = max(width - len(gutter), 4 * MARGIN)
    line = "".join(map(_shown, lines[problem.line - 1]))
    at = min(problem.column - 1, len(line))
    word = _WORD.match(line, at)
    end = word.end() if word is not None else at + 1
    if _columns(line) > room:
        start = max(0, min(at - MARGIN, len(line) - room))
        before = "…" if start else ""
        line = before + line[start + len(before) :]
        at, end = max(at - start, len(before)), end - start
        while _columns(line) > room:
            line = line[:-2] + "…"
    end = max(min(end, len(line)), at + 1)
    yield gutter + line.rstrip()
    marks = "^" * max(1, _columns(line[at:end]))
    yield f"{'':>6} | {' ' * _columns(line[:at])}{marks}"


def _shown(character: str) -> str:
    if character == "\t":
        return " "
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
