"""Reading what conditions and messages are made of: field paths, values with variables, text with fields in it.

Braces that are left over are a problem, never text: a condition that compares with `{{ variables.x }` to the letter would
be a rule that never holds.
"""

import json
import re
from typing import Any

from jupiter_addons.documents import Node
from jupiter_addons.policy.nodes import ALL, Field, Step
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import Template
from jupiter_addons.policy.vocabulary import FIELDS, FREE, LATER_FIELDS, MESSAGE_FIELDS, Kind, canonical

# Patterns of ours over field paths and templates, without nested repeats; what a policy author writes goes to RE2 only.
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)((?:\[(?:-?\d{1,6}|\*)\])*)")
_INDEX = re.compile(r"\[(-?\d+|\*)\]")
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")


class Terms:
    """Reads fields, values and templates of one file."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._variables: dict[str, Node] = {}
        self.roots: set[str] = set()
        """The roots that fields read since it was cleared."""

    def declare(self, node: Node) -> None:
        """Take the `variables` of a file; each is a value that does not refer to another."""
        if node.entries is None:
            self._reading.wrong(node, f"`variables` is a mapping, not {node.kind}")
            return
        for name, value in node.entries.items():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                self._reading.wrong(node.key_marks[name], f"`{name}` cannot be the name of a variable")
            if value.kind == "null":
                self._reading.wrong(value, f"variable `{name}` has no value")
            self.value(value)  # notes every `{{` in it: none is declared yet
        self._variables = node.entries

    def field(self, node: Node) -> Field | None:
        """Return the field a node names, or note that there is none."""
        if not isinstance(node.scalar, str):
            self._reading.wrong(node, f"`field` is a path, not {node.kind}")
            return None
        return self._field(node.scalar, node)

    def _field(self, written: str, node: Node) -> Field | None:
        path = canonical(written)
        steps: list[Step] = []
        for piece in path.split("."):
            match = _STEP.fullmatch(piece)
            if match is None:
                self._reading.wrong(node, f"`{written}` is not a field path")
                return None
            steps.append(match[1])
            steps += [ALL if index == ALL else int(index) for index in _INDEX.findall(match[2])]
        if path not in FIELDS and (written.startswith(LATER_FIELDS) or path.startswith(LATER_FIELDS)):
            self._reading.later(node, f"the field `{written}` is")
            return None
        kind = _kind_of(path, steps)
        if kind is None:
            self._reading.wrong(node, f"unknown field `{written}`", self._reading.near(written, [*FIELDS, *FREE]))
            return None
        self.roots.add(str(steps[0]))
        return Field(path, tuple(steps), kind, node.mark)

    def value(self, node: Node) -> Any:
        """Return a value, with `{{ variables.x }}` replaced by what the variable holds, of its own type if it is alone."""
        if node.items is not None:
            return [self.value(item) for item in node.items]
        if node.entries is not None:
            return {name: self.value(item) for name, item in node.entries.items()}
        if not isinstance(node.scalar, str) or "{{" not in node.scalar:
            return node.scalar
        whole = _TEMPLATE.fullmatch(node.scalar.strip())
        if whole is not None:
            return self._variable(whole[1].strip(), node)
        self._check_braces(node, node.scalar)
        return _TEMPLATE.sub(lambda match: self._text_of(match[1].strip(), node), node.scalar)

    def template(self, node: Node, key: str) -> Template:
        """Return the text under `key`, with fields and variables in it."""
        if not isinstance(node.scalar, str) or not node.scalar:
            self._reading.wrong(node, f"`{key}` is text, not {'empty' if node.scalar == '' else node.kind}")
            return ()
        self._check_braces(node, node.scalar)
        parts: list[str | Field] = []
        at = 0
        for match in _TEMPLATE.finditer(node.scalar):
            parts.append(node.scalar[at : match.start()])
            expression = match[1].strip()
            if expression.startswith("variables."):
                parts.append(self._text_of(expression, node))
            elif (field := self._field(expression, node)) is not None:
                parts.append(field)
            at = match.end()
        parts.append(node.scalar[at:])
        return tuple(part for part in parts if part != "")

    def _check_braces(self, node: Node, text: str) -> None:
        if "{{" in _TEMPLATE.sub("", text):
            self._reading.wrong(node, "a `{{` has no `}}`")

    def _variable(self, expression: str, node: Node) -> Any:
        root, _, name = expression.partition(".")
        if root == "variables" and name in self._variables:
            return self._variables[name].plain()
        near = self._reading.near(name, self._variables) if root == "variables" else None
        hint = near if root == "variables" else "a value can hold `{{ variables.name }}` only"
        self._reading.wrong(node, f"there is no variable `{expression}`", hint)
        return None

    def _text_of(self, expression: str, node: Node) -> str:
        """Print a variable that stands inside text: a list by its elements."""
        value = self._variable(expression, node)
        if isinstance(value, dict):
            self._reading.wrong(node, f"`{expression}` is a mapping and cannot stand inside text")
        elements = value if isinstance(value, list) else [value]
        return ", ".join(one if isinstance(one, str) else json.dumps(one) for one in elements)


def _kind_of(path: str, steps: list[Step]) -> Kind | None:
    if path in FIELDS:
        return FIELDS[path]
    if path.startswith(FREE):
        return "any"
    match steps:
        case ["request", "messages", int() | "*"]:
            return "any"
        case ["request", "messages", int() | "*", str(name)]:
            return MESSAGE_FIELDS.get(name)
        case ["request", "tools", int() | "*"]:
            return "string"
    return None
