"""Reading field paths: `request.messages[-1].content`, `request.metadata["a b"]`, `…content[type=image]`, `….length`.

A path is read into steps in its canonical spelling, and found in the table of fields: its kind, and whether it may be costly.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jupiter_addons.documents import Mark
from jupiter_addons.policy.fields import (
    FIELDS,
    FREE,
    HEADERS,
    MESSAGE_FIELDS,
    PART_FIELDS,
    PROVIDER_FIELDS,
    Kind,
)
from jupiter_addons.policy.nodes import ALL, LENGTH, Field, Filter, Step, Zone, spelled
from jupiter_addons.policy.vocabulary import ALIASES, REFUSED_FIELDS, canonical

MAX_STEPS = 32

# Patterns of ours over field paths, without nested repeats; what a policy author writes goes to RE2 only.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_BRACKET = re.compile(
    r"""\[\s*(?:(?P<place>-?\d{1,6})|(?P<all>\*)|(?P<key>[A-Za-z_][A-Za-z0-9_]*)\s*(?P<sign>!?=)\s*(?P<value>[A-Za-z0-9_./-]+)"""
    r"""|"(?P<double>[^"\\]*)"|'(?P<single>[^'\\]*)')\s*\]"""
)
_LENGTH = ".length"


@dataclass(frozen=True, slots=True)
class BadPath:
    """Why a text is not a field; `word` is what to look for a suggestion for, if anything."""

    message: str
    hint: str | None = None
    word: str | None = None


_NOWHERE = Mark("", 0, 0)


def names() -> list[str]:
    """Return what a misspelt field may have meant."""
    return [*FIELDS, *ALIASES, *(f"{free.removesuffix('.')}.…" for free in FREE)]


def resolve(
    written: str, mark: Mark, zone: str | None = None, bound: Mapping[str, bool] | None = None
) -> Field | BadPath:
    """Return the field a text names.

    `zone` is where `context.time` is told for.  `bound` has the variables of `any` and `all` around the text, and whether
    their elements are messages.
    """
    found = _resolved(written, zone) if bound is None else _resolve(written, zone, bound)
    if isinstance(found, BadPath):
        return found
    return Field(found.text, found.steps, found.kind, mark, found.lazy, found.owed)


@functools.lru_cache(4096)
def _resolved(written: str, zone: str | None) -> Field | BadPath:
    """Return what most texts name: most rules read the same few fields."""
    return _resolve(written, zone, None)


def _resolve(written: str, zone: str | None, bound: Mapping[str, bool] | None) -> Field | BadPath:
    text, sized = _sized(written)
    head = re.match(r"[^\[]*", text)
    assert head is not None
    text = ALIASES.get(text) or canonical(head[0]) + text[head.end() :]
    for prefix, why in REFUSED_FIELDS.items():
        if written.startswith(prefix):
            return BadPath(f"there is no field `{written}`", why)
    steps = _steps(text)
    if steps is None or len(steps) > MAX_STEPS:
        return BadPath(f"`{written}` is not a field path")
    if bound and steps[0] in bound:
        message = bound[str(steps[0])]
        steps[1:] = _of_message(steps[1:]) if message else steps[1:]
        return _field(steps, _inside(steps[1:], message), sized, False, _NOWHERE) or _unknown(written)
    steps = _normal(steps)
    found = _field(steps, _kind_of(steps), sized, _is_lazy(steps), _NOWHERE)
    if found is None and steps[:2] == ["request", "headers"]:
        return BadPath(f"there is no field `{written}`", f"of headers, rules read {', '.join(sorted(HEADERS))}")
    if found is None:
        return _unknown(written)
    return _zoned(found, zone) if zone is not None and found.steps[:2] == ("context", "time") else found


def length_of(field: Field) -> Field:
    """Return the field of how long a field's value is, or how many it leads to.

    It may be a surprise: what should be a list and is a number has no length.
    """
    steps = (*field.steps, LENGTH)
    return Field(spelled(steps), steps, "number", field.mark, lazy=True, owed=field.owed)


def _unknown(written: str) -> BadPath:
    return BadPath(f"unknown field `{written}`", word=written)


def _sized(written: str) -> tuple[str, bool]:
    """Split off `.length`; a key of a free map may have that name."""
    text = written.removesuffix(_LENGTH)
    return (written, False) if text == written or canonical(f"{text}.") in FREE else (text, True)


def _steps(text: str) -> list[Step] | None:
    steps: list[Step] = []
    at = 0
    while True:
        name = _NAME.match(text, at)
        if name is None:
            return None
        steps.append(name[0])
        at = name.end()
        while (bracket := _BRACKET.match(text, at)) is not None:
            steps.append(_bracketed(bracket))
            at = bracket.end()
        if at == len(text):
            return steps
        if text[at] != ".":
            return None
        at += 1


def _bracketed(bracket: re.Match[str]) -> Step:
    if bracket["place"] is not None:
        return int(bracket["place"])
    if bracket["all"] is not None:
        return ALL
    if bracket["key"] is not None:
        return Filter(bracket["key"], bracket["value"], bracket["sign"] == "=")
    quoted: str = bracket["double"] if bracket["double"] is not None else bracket["single"]
    return quoted


def _normal(steps: list[Step]) -> list[Step]:
    """Return the steps in the facts: headers have one spelling."""
    match steps:
        case ["request", "messages", place, *rest] if not isinstance(place, str):
            return ["request", "messages", place, *_of_message(rest)]
        case ["request", "headers", str(name)]:
            return ["request", "headers", name.lower().replace("-", "_")]
    return steps


def _of_message(rest: list[Step]) -> list[Step]:
    """Return the steps inside a message: its parts are not where its text is."""
    match rest:
        case ["content", place, *deeper] if not isinstance(place, str):
            return ["parts", place, *deeper]
    return rest


def _kind_of(steps: list[Step]) -> Kind | None:
    leading = 0
    while leading < len(steps) and isinstance(steps[leading], str):
        leading += 1
    path = ".".join(map(str, steps[:leading]))
    if leading == len(steps) and path in FIELDS:
        return FIELDS[path].kind
    match steps:
        case ["request", "headers", str(name)]:
            return "string" if name in HEADERS else None
        case ["provider", str(), str(name)]:
            return PROVIDER_FIELDS.get(name)
        case ["request", "messages", place, *rest] if not isinstance(place, str):
            return _inside(rest, message=True)
    if leading < len(steps) and path in FIELDS and FIELDS[path].kind in ("list", "any"):
        element = FIELDS[path].element
        return element if leading + 1 == len(steps) else "any" if element == "any" else None
    return "any" if ".".join(map(str, steps)).startswith(FREE) else None


def _inside(rest: list[Step], message: bool) -> Kind | None:
    """Return the kind of what is inside a message, or inside what nothing is known of."""
    if not message or not rest:
        return "any"
    match rest:
        case [str(name)]:
            return MESSAGE_FIELDS.get(name)
        case ["parts", place] if not isinstance(place, str):
            return "any"
        case ["parts", place, str(name), *_] if not isinstance(place, str):
            return PART_FIELDS.get(name, "any")
    return None


def _is_lazy(steps: list[Step]) -> bool:
    if steps[0] == "provider":
        return True
    for end in range(len(steps), 1, -1):
        known = FIELDS.get(".".join(map(str, steps[:end])))
        if known is not None:
            return known.cost != "cheap"
    return False


def _field(steps: list[Step], kind: Kind | None, sized: bool, lazy: bool, mark: Mark) -> Field | None:
    if kind is None or (sized and kind not in ("string", "list", "any")):
        return None
    field = Field(spelled(tuple(steps)), tuple(steps), kind, mark, lazy, owed=lazy)
    return length_of(field) if sized else field


def _zoned(field: Field, zone: str) -> Field:
    """Return a field of the time, told for a zone; the time itself is the same everywhere."""
    if field.steps == ("context", "time", "timestamp"):
        return field
    steps: tuple[Step, ...] = ("context", "time", Zone(zone), *field.steps[2:])
    return Field(spelled(steps), steps, field.kind, field.mark, lazy=True)
