"""Carrying out effects on a request: another body, in which only what a rule names is different.

Everything is done on a copy of the bytes, by splice.  What cannot be done raises EffectError: a call that a rule wanted
changed is not sent unchanged.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from jupiter_addons.dialects import parameters, places
from jupiter_addons.dialects.call import DialectName, Json, JsonObject
from jupiter_addons.dialects.places import Turn
from jupiter_addons.dialects.splice import REMOVED, Edits, Path, splice
from jupiter_addons.dialects.spoken import names
from jupiter_addons.errors import EffectError, JupiterError
from jupiter_addons.policy.effects import Addition, By, Effect, Redaction, Setting, in_force
from jupiter_addons.policy.nodes import Field
from jupiter_addons.policy.redact import Find, Rewriter, Takes, Vault

_MESSAGE = re.compile(r"messages\[(-?\d+)\]\.content")
_PLACEHOLDER = re.compile(rb"\[[A-Z][A-Z0-9_]*_[0-9]+\]")
_EVERY = ("request.messages", "request.text")


@dataclass(frozen=True, slots=True)
class Change:
    """A place of the body that differs from what was received, and the rule that wanted it."""

    rule: str
    field: str


@dataclass(frozen=True, slots=True)
class Amended:
    """A request as its rules want it."""

    body: bytes
    changes: tuple[Change, ...]
    """Empty if the body is the one received."""
    vault: Vault


def amend(dialect: DialectName, body: bytes, effects: Sequence[Effect], find: Find | None) -> Amended:
    """Return the request after its effects.  Raises EffectError."""
    draft = _Draft(dialect, body)
    ordered = in_force(effects)
    for effect in ordered:
        if isinstance(effect, (Setting, Addition)):
            try:
                draft.set(effect) if isinstance(effect, Setting) else draft.add(effect)
            except ValueError as error:
                raise _impossible(effect.by, error) from error
    redactions = [effect for effect in ordered if isinstance(effect, Redaction)]
    reversible = any(redaction.reversible for redaction in redactions)
    written = orjson.dumps(orjson.loads(draft.body)) if reversible else b""  # whatever escapes it was sent with
    taken = frozenset(_PLACEHOLDER.findall(written))
    vault = Vault(lambda placeholder: placeholder.encode() in taken)
    if redactions:
        draft.redact(redactions, find, vault)
    return Amended(draft.body, tuple(draft.changes), vault)


class _Draft:
    """A body on its way to what it is to be."""

    def __init__(self, dialect: DialectName, body: bytes) -> None:
        self._dialect = dialect
        self.body = body
        self.changes: dict[Change, None] = {}

    def _read(self) -> JsonObject:
        value: JsonObject = orjson.loads(self.body)
        return value

    def _apply(self, by: By, edits: Edits) -> None:
        if edits:
            self.body = splice(self.body, edits)
            self.changes |= dict.fromkeys(Change(str(by), _spelled(path)) for path in edits)

    def set(self, effect: Setting) -> None:
        """Give a field its value, unless it has it."""
        value, body = effect.value, self._read()
        paths = self._paths(body, effect.field.removeprefix("request."))
        differing = [path for path in paths if _at(body, path) != (value,) and (value is not None or _at(body, path))]
        self._apply(effect.by, dict.fromkeys(differing, REMOVED if value is None else value))

    def _paths(self, body: JsonObject, name: str) -> list[Path]:
        if name == "prompt":
            return [_prompt(places.turns(self._dialect, body)).content]
        message = _MESSAGE.fullmatch(name)
        if message is None:
            return parameters.parameter(self._dialect, body, name)
        turns, number = places.turns(self._dialect, body), int(message[1])
        if not -len(turns) <= number < len(turns):
            raise ValueError(f"there is no message {number}")
        return [turns[number].content]

    def add(self, effect: Addition) -> None:
        """Put text before or after that of the last user message: in its first or last text, or as a part of its own."""
        body = self._read()
        turn = _prompt(places.turns(self._dialect, body))
        texts = [place for place in turn.places if place.path in (turn.content, (*turn.content, *place.path[-2:]))]
        texts = [place for place in texts if place.path == turn.content or place.path[-1] == "text"]
        if texts:
            place = texts[0 if effect.prepend else -1]
            text = effect.text + place.text if effect.prepend else place.text + effect.text
            self._apply(effect.by, {place.path: text})
            return
        content = _at(body, turn.content)
        if not content or not isinstance(content[0], list):
            raise ValueError("the last user message has no content to add to")
        self._apply(effect.by, {(*turn.content, len(content[0])): {"type": "text", "text": effect.text}})

    def redact(self, redactions: list[Redaction], find: Find | None, vault: Vault) -> None:
        """Take out of every text what the redactions that are about it find, all of them at once."""
        body = self._read()
        wanted: dict[Path, list[int]] = {}
        texts: dict[Path, tuple[str, bool]] = {}
        takes = []
        for number, redaction in enumerate(redactions):
            try:
                takes.append(Takes(redaction, find, vault))
            except ValueError as error:
                raise _impossible(redaction.by, error) from error
            found, chosen = self._texts(body, redaction.fields)
            _check_names(redaction.by, takes[-1], "\n".join(name for turn in chosen for name in names(body, turn)))
            for path, text, is_json in found:
                texts[path] = (text, is_json)
                wanted.setdefault(path, []).append(number)
        edits: dict[Path, Json] = {}
        for path, numbers in wanted.items():
            text, is_json = texts[path]
            rewriter = Rewriter([takes[number] for number in dict.fromkeys(numbers)])
            try:
                new = rewriter.whole(text, is_json=is_json)
            except JupiterError as error:  # a detector that cannot look through the text
                raise _impossible(redactions[numbers[0]].by, error) from error
            if new != text:
                edits[path] = new
                self.changes |= dict.fromkeys(Change(str(by), _spelled(path)) for by in rewriter.counts)
        if edits:
            try:
                self.body = splice(self.body, edits)
            except ValueError as error:
                raise _impossible(redactions[0].by, error) from error

    def _texts(self, body: JsonObject, fields: Sequence[Field]) -> tuple[list[tuple[Path, str, bool]], list[Turn]]:
        """Return the texts of some fields, and the messages that they are in."""
        turns = places.turns(self._dialect, body)
        found: list[tuple[Path, str, bool]] = []
        messages: dict[Path, Turn] = {}
        for field in fields:
            number = field.steps[2] if field.steps[:2] == ("request", "messages") and len(field.steps) > 2 else None
            if isinstance(number, int):
                chosen = turns[number : number + 1 or None] if -len(turns) <= number < len(turns) else []
            elif field.text in _EVERY or field.steps[:2] == ("request", "messages"):
                chosen = turns
            elif field.text == "request.prompt":
                chosen = _users(turns)[-1:]
            else:
                chosen = []
                for path in self._held(body, field):
                    below = [one for value in _at(body, path) for one in places.strings(value)]
                    found += [((*path, *inner), text, False) for inner, text in below]
            found += [(place.path, place.text, place.is_json) for turn in chosen for place in turn.places]
            messages |= {turn.content: turn for turn in chosen}
        return found, list(messages.values())

    def _held(self, body: JsonObject, field: Field) -> list[Path]:
        """Return where a parameter is, or a place in the client's metadata: what is in it is the client's to shape."""
        if field.steps[1] != "metadata":
            return parameters.parameter(self._dialect, body, field.text.removeprefix("request."))
        path: Path = ()
        for step in field.steps[1:]:
            assert isinstance(step, (str, int))
            held = _at(body, path)
            from_end = isinstance(step, int) and step < 0 and held and isinstance(held[0], list)
            path = (*path, len(held[0]) + step if from_end else step)  # type: ignore[operator] # a number then
        return [path]


def _check_names(by: By, takes: Takes, named: str) -> None:
    """Raise EffectError if something is found in the names of members: they have to stay as they are."""
    if not named or takes.takes_all:
        return
    try:
        found = next(takes.findings(named, 0), None)
    except JupiterError as error:
        raise _impossible(by, error) from error
    if found is not None:
        raise _impossible(by, ValueError("it finds something in the name of a member, which has to stay"))


def _impossible(by: By, error: Exception) -> EffectError:
    return EffectError(f"rule `{by}` cannot be carried out: {error}")


def _prompt(turns: list[Turn]) -> Turn:
    users = _users(turns)
    if not users:
        raise ValueError("there is no user message")
    return users[-1]


def _users(turns: list[Turn]) -> list[Turn]:
    """Return what the user says; not every server minds how it is spelled."""
    return [turn for turn in turns if turn.role.lower() == "user"]


def _at(body: JsonObject, path: Path) -> tuple[Any, ...]:
    """Return the value at a path, alone in a tuple; an empty one if there is none."""
    value: Any = body
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return ()
    return (value,)


def _spelled(path: Path) -> str:
    """Print a path as rules do: `messages[0].content`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
