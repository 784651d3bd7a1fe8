"""Facts of which some are given by hand: what cases and explanations assume of a call, over what is known of it anyway.

context: {user_attributes: {tier: free}}          any published spelling of a field, nested or dotted
rate_limit.hourly: 101
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jupiter_addons.documents import Mark, Node
from jupiter_addons.policy.explain import fields_of
from jupiter_addons.policy.facts import SURPRISE, Facts, Lazy
from jupiter_addons.policy.nodes import Field, Zone
from jupiter_addons.policy.paths import BadPath, names, resolve
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import Rule

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")
_LOOSE = ("{}", "metadata.{}", "request.{}", "context.{}", "request.metadata.{}")
"""Where published test files look for what they list under `metadata`."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """A field and its value; `SURPRISE`: it cannot be worked out."""

    field: Field
    value: Any


def assumptions(node: Node, reading: Reading, prefix: str = "") -> Iterator[Assumption]:
    """Yield what a mapping of fields says; note what is no field.  `prefix` is the path that the mapping stands at."""
    yield from _read(node, reading, prefix, _field)


def loose_assumptions(node: Node, reading: Reading) -> Iterator[Assumption]:
    """Yield what a published test says under `metadata`: fields with or without their roots, and marks of the request."""
    yield from _read(node, reading, "", _loose_field)


def unknowns(node: Node, reading: Reading) -> Iterator[Assumption]:
    """Yield the fields of a list as such that cannot be worked out; only a costly one can fail."""
    if node.items is None:
        reading.wrong(node, f"`unknown` is a list of fields, not {node.kind}")
    for item in node.items or ():
        field = settable(str(item.scalar), item.mark, reading)
        if field is not None and not field.lazy:
            reading.wrong(item, f"`{field.text}` is always known", "only what is scanned for or looked up can fail")
        elif field is not None:
            yield Assumption(field, SURPRISE)


def settable(path: str, mark: Mark, reading: Reading) -> Field | None:
    """Return the field of a path that can be given a value; note what is wrong with any other."""
    found = _field(path, mark)
    if isinstance(found, BadPath):
        reading.wrong(mark, found.message, found.hint or (reading.near(found.word, names()) if found.word else None))
        return None
    return found


def assumed(facts: Facts, given: Iterable[Assumption]) -> Facts:
    """Return facts in which the given values stand in place of what else they would have."""
    by_root: defaultdict[str, list[Assumption]] = defaultdict(list)
    for assumption in given:
        by_root[str(assumption.field.steps[0])].append(assumption)
    return {**facts, **{root: _root(facts.get(root), values) for root, values in by_root.items()}}


def overlooked(rules: Iterable[Rule], given: Iterable[Assumption]) -> list[str]:
    """Return why some of what is given would not be seen: a policy with a zone reads nothing of the time but the instant."""
    times = [one.field.text for one in given if one.field.steps[:2] == ("context", "time")]
    hidden = [text for text in times if text != "context.time.timestamp"]
    if not hidden or not any(isinstance(s, Zone) for rule in rules for f in fields_of(rule.condition) for s in f.steps):
        return []
    return [f"`{text}` is not seen by a policy with a `timezone`: set the time itself" for text in hidden]


def _root(ask: Callable[[], Any] | None, given: list[Assumption]) -> Callable[[], Any]:
    def answer() -> Any:
        value = ask() if ask is not None else None
        for assumption in given:
            value = _with(value, assumption.field.steps[1:], assumption.value)
        return value

    return answer


def _with(value: Any, steps: tuple[Any, ...], new: Any) -> Any:
    if not steps:
        return new
    if isinstance(value, Lazy):
        return Lazy(lambda: _with(value.value(), steps, new))
    held = dict(value) if isinstance(value, Mapping) else {}
    held[steps[0]] = _with(held.get(steps[0]), steps[1:], new)
    return held


def _read(
    node: Node, reading: Reading, prefix: str, find: Callable[[str, Mark], Field | BadPath]
) -> Iterator[Assumption]:
    if node.entries is None:
        reading.wrong(node, f"`{prefix or 'metadata'}` is a mapping of fields, not {node.kind}")
    for key, below in (node.entries or {}).items():
        path = _joined(prefix, key)
        found = find(path, node.key_marks[key])
        if below.entries is not None and (find is _loose_field or isinstance(found, BadPath) or found.kind != "any"):
            yield from _read(below, reading, path, find)
        elif isinstance(found, BadPath):
            near = reading.near(found.word, names()) if found.word else None
            reading.wrong(node.key_marks[key], found.message, found.hint or near)
        else:
            yield Assumption(found, below.plain())


def _joined(prefix: str, key: str) -> str:
    if not prefix:
        return key
    return f"{prefix}.{key}" if _PLAIN.fullmatch(key) else f'{prefix}["{key}"]'


def _field(path: str, mark: Mark) -> Field | BadPath:
    found = resolve(path, mark)
    if isinstance(found, Field) and not all(isinstance(step, str) for step in found.steps):
        return BadPath(f"`{path}` cannot be given a value by itself", "give the whole of the list it stands in")
    return found


def _loose_field(path: str, mark: Mark) -> Field | BadPath:
    ways = [_field(way.format(path), mark) for way in _LOOSE]
    return next((found for found in ways if isinstance(found, Field)), ways[-1])
