"""Splicing JSON: other values in some places, every other byte as it was.

The text is walked only as far as the edits lead, and what lies beside their paths is stepped over.  It has to be valid JSON
in UTF-8; that is not checked again here.  An object on the way to an edit that has one name twice is refused, because there
it would not be certain which of the two a reader takes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from jupiter_addons.dialects.call import Json

type Path = tuple[str | int, ...]
"""The steps to a value: names of members and places in arrays, from 0."""


class _Removed:
    """The place is to be taken away."""


REMOVED: Final = _Removed()

type Edits = Mapping[Path, Json | _Removed]
"""Path -> the value it is to have.  A path that is not there yet is inserted, as the last of its object or array."""

_SPACE = re.compile(rb"[ \t\n\r]*+")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_ATOM = re.compile(rb"[^\s,\]}]++")
_NESTING = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


def splice(body: bytes, edits: Edits) -> bytes:
    """Return `body` with the values of `edits` in their places.

    Raises ValueError: an edit that lies within another, or leads through a value that is neither object nor array; a place
    beyond the end of an array; a name that stands twice; a value that JSON cannot hold.
    """
    root = _Edit()
    for path, value in edits.items():
        root.add(path, value)
    if not root.below:
        raise ValueError("the whole body is not a place in it")
    spans: list[tuple[int, int, bytes]] = []
    _walk(body, _space(body, 0), root, spans)
    pieces, at = [], 0
    for start, end, piece in sorted(spans, key=lambda span: span[:2]):
        pieces += [body[at:start], piece]
        at = end
    return b"".join([*pieces, body[at:]])


@dataclass(slots=True)
class _Edit:
    """What is to happen at a value and below it."""

    below: dict[str | int, "_Edit"] = field(default_factory=dict)
    value: Json | _Removed = None
    here: bool = False

    def add(self, path: Path, value: Json | _Removed) -> None:
        node = self
        for step in path:
            if node.here:
                raise ValueError(f"an edit at {path!r} lies within another")
            node = node.below.setdefault(step, _Edit())
        if node.below or node.here:
            raise ValueError(f"an edit at {path!r} lies around another")
        node.value, node.here = value, True

    def made(self) -> Json | _Removed:
        """Return the value of a place that is not there yet; REMOVED if nothing is to be there."""
        if self.here:
            return self.value
        members = {step: made for step, edit in self.below.items() if not isinstance(made := edit.made(), _Removed)}
        if not members:
            return REMOVED
        if not all(isinstance(step, str) for step in members):
            raise ValueError("there is no array for a new element")
        return members  # type: ignore[return-value] # its names are text


@dataclass(slots=True)
class _Member:
    """A member of an object or element of an array: where it begins, with its name, and where its value ends."""

    start: int
    end: int
    removed: bool


def _walk(body: bytes, at: int, edit: _Edit, spans: list[tuple[int, int, bytes]]) -> int:
    """Collect the spans that change in the value at `at`; return where it ends."""
    opening = body[at : at + 1]
    if opening not in (b"{", b"["):
        raise ValueError("a path leads through a value that has no members")
    named = opening == b"{"
    members: list[_Member] = []
    seen: set[str | int] = set()
    inner = at + 1
    at = _space(body, inner)
    while body[at] not in b"]}":
        if body[at] == ord(","):
            at = _space(body, at + 1)
        start, step = at, len(members)
        key: str | int = step
        if named:
            end = _string_end(body, at)
            key = orjson.loads(body[at:end])
            at = _space(body, _space(body, end) + 1)
        if key in seen:
            raise ValueError(f"the name {str(key)[:64]!r} stands twice")
        seen.add(key)
        below = edit.below.get(key)
        if below is None:
            at = _value_end(body, at)
        elif below.here:
            value_start, at = at, _value_end(body, at)
            if not isinstance(below.value, _Removed):
                spans.append((value_start, at, _dumps(below.value)))
        else:
            at = _walk(body, at, below, spans)
        members.append(_Member(start, at, below is not None and isinstance(below.value, _Removed)))
        at = _space(body, at)
    _cut(members, spans)
    _insert(members, inner, [(step, e) for step, e in edit.below.items() if step not in seen], spans, named=named)
    return at + 1


def _cut(members: list[_Member], spans: list[tuple[int, int, bytes]]) -> None:
    """Take removed members away, each run of them with the commas that are too many then."""
    first: int | None = None
    for number, member in enumerate(members):
        if member.removed:
            first = number if first is None else first
        elif first is not None:
            spans.append((members[first].start, member.start, b""))
            first = None
    if first is not None:
        spans.append((members[first - 1].end if first else members[0].start, members[-1].end, b""))


def _insert(
    members: list[_Member],
    inner: int,
    missing: list[tuple[str | int, _Edit]],
    spans: list[tuple[int, int, bytes]],
    *,
    named: bool,
) -> None:
    kept = [member for member in members if not member.removed]
    place = kept[-1].end if kept else inner
    pieces: list[bytes] = []
    for number, (step, edit) in enumerate(sorted(missing, key=lambda item: item[0]) if not named else missing):
        made = edit.made()
        if isinstance(made, _Removed):
            continue
        if named is not isinstance(step, str) or (not named and step != len(members) + number):
            raise ValueError(f"there is no place {step!r}")
        pieces.append(_dumps(step) + b":" + _dumps(made) if named else _dumps(made))
    if pieces:
        spans.append((place, place, (b"," if kept else b"") + b",".join(pieces)))


def _space(body: bytes, at: int) -> int:
    found = _SPACE.match(body, at)
    assert found is not None
    return found.end()


def _string_end(body: bytes, at: int) -> int:
    found = _STRING.match(body, at)
    if found is None:
        raise ValueError("the text is not JSON")
    return found.end()


def _value_end(body: bytes, at: int) -> int:
    if body[at] == ord('"'):
        return _string_end(body, at)
    if body[at] in b"[{":
        depth = 0
        for token in _NESTING.finditer(body, at):
            if (kind := token[0]) in (b"[", b"{"):
                depth += 1
            elif kind in (b"]", b"}"):
                depth -= 1
                if not depth:
                    return token.end()
        raise ValueError("the text is not JSON")
    found = _ATOM.match(body, at)
    if found is None:
        raise ValueError("the text is not JSON")
    return found.end()


def _dumps(value: Json) -> bytes:
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise ValueError(f"a value that JSON cannot hold: {error}") from error
