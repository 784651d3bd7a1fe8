"""Reading what conditions and messages are made of: field paths, values with variables, text with fields in it.

Braces that are left over are a problem, never text: a condition that compares with `{{ variables.x }}` to the letter would
be a rule that never holds.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from jupiter_addons.documents import Mark, Node, Plain
from jupiter_addons.policy.nodes import Field, Literally
from jupiter_addons.policy.paths import BadPath, names, resolve
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import Template

# Patterns of ours over templates, without nested repeats; what a policy author writes goes to RE2 only.
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LENGTH_OF = re.compile(r"len\(\s*([^()]*?)\s*\)")

MAX_CHARS = 1_000_000
"""How much text variables may put into texts, in one file."""
MAX_VALUES = 50_000
"""How much a variable may hold, what it holds of others included: each may hold two of the one before it, or ten."""


class Terms:
    """Reads fields, values and templates of one file."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._nodes: dict[str, Node] = {}
        self._chars = 0
        self.variables: dict[str, Plain] = {}
        """What the file's variables hold."""
        self.zone: str | None = None
        """The time zone in which `context.time` is told."""
        self.roots: set[str] = set()
        """The roots that fields read since it was cleared."""

    # -- variables -------------------------------------------------------------------------------------------------------

    def declare(self, node: Node) -> None:
        """Take the `variables` of a file; a value may hold others, wherever they stand, but not itself."""
        if node.entries is None:
            self._reading.wrong(node, f"`variables` is a mapping, not {node.kind}")
            return
        for name, value in node.entries.items():
            if not _VARIABLE.fullmatch(name):
                self._reading.wrong(node.key_marks[name], f"`{name}` cannot be the name of a variable")
            if value.kind == "null":
                self._reading.wrong(value, f"variable `{name}` has no value")
        self._nodes = node.entries
        for name in node.entries:
            self._variable(name, node, ())

    def _variable(self, name: str, place: Node | Mark, around: tuple[str, ...]) -> Plain:
        """Return what a variable holds, working it out when it is asked for first; `around` are those that ask."""
        if name in self.variables:
            return self.variables[name]
        if name in around:
            self._reading.wrong(
                place, f"variable `{name}` holds itself", " -> ".join((*around[around.index(name) :], name))
            )
            return None
        found = self._plain(self._nodes[name], (*around, name))
        if _is_large(found):
            self._reading.wrong(self._nodes[name], f"variable `{name}` holds more than {MAX_VALUES} values")
            found = None
        return self.variables.setdefault(name, found)

    def _plain(self, node: Node, around: tuple[str, ...] = ()) -> Plain:
        """Return a value, with `{{ variables.x }}` replaced by what the variable holds, of its own type if it is alone."""
        if node.items is not None:
            return [self._plain(item, around) for item in node.items]
        if node.entries is not None:
            return {name: self._plain(item, around) for name, item in node.entries.items()}
        if not isinstance(node.scalar, str) or "{{" not in node.scalar:
            return node.scalar
        whole = _TEMPLATE.fullmatch(node.scalar.strip())
        if whole is not None:
            return self.held(whole[1].strip(), node, around)
        self._check_braces(node, node.scalar)
        return _TEMPLATE.sub(lambda match: self._text_of(match[1].strip(), node, around), node.scalar)

    def held(self, expression: str, node: Node | Mark, around: tuple[str, ...] = ()) -> Plain:
        """Return what `variables.x` holds, or `variables.x.y` below it, or note that there is no such variable."""
        root, *path = expression.split(".")
        if root != "variables" or not path:
            hint = "a field can be the whole value of a condition, and stand in messages"
            self._reading.wrong(node, f"there is no variable `{expression}`", hint)
            return None
        if path[0] not in self._nodes:
            near = self._reading.near(path[0], self._nodes)
            self._reading.wrong(node, f"there is no variable `{expression}`", near)
            return None
        found = self._variable(path[0], node, around)
        for name in path[1:]:
            if not isinstance(found, dict) or name not in found:
                self._reading.wrong(node, f"there is no variable `{expression}`")
                return None
            found = found[name]
        return found

    def _text_of(self, expression: str, node: Node, around: tuple[str, ...] = ()) -> str:
        """Print a variable that stands inside text: a list by its elements."""
        value = self.held(expression, node, around)
        if isinstance(value, dict):
            self._reading.wrong(node, f"`{expression}` is a mapping and cannot stand inside text")
        elements = value if isinstance(value, list) else [value]
        text = ", ".join(one if isinstance(one, str) else json.dumps(one) for one in elements)
        self._chars += len(text)
        if self._chars > MAX_CHARS:
            self._reading.wrong(node, f"variables put more than {MAX_CHARS} characters into texts")
            return ""
        return text

    # -- fields, values, templates ---------------------------------------------------------------------------------------

    def field(self, node: Node) -> Field | None:
        """Return the field a node names, or note that there is none."""
        if not isinstance(node.scalar, str):
            self._reading.wrong(node, f"`field` is a path, not {node.kind}")
            return None
        return self.path(node.scalar, node.mark)

    def path(self, written: str, mark: Mark, bound: Mapping[str, bool] | None = None) -> Field | None:
        """Return the field a text names, or note that there is none.  `bound` is as in `paths.resolve`."""
        found = resolve(written, mark, self.zone, bound)
        if isinstance(found, BadPath):
            near = None if found.word is None else self._reading.near(found.word, names())
            self._reading.wrong(mark, found.message, found.hint or near)
            return None
        if not bound or found.steps[0] not in bound:
            self.roots.add(str(found.steps[0]))
        return found

    def value(self, node: Node) -> Any:
        """Return a value written in the policy, with variables replaced.  A field in it is a problem."""
        return self._plain(node)

    def operand(self, node: Node) -> Literally | Field | None:
        """Return the value of a condition, or the field that a template as a whole names; note what is wrong with it."""
        whole = _TEMPLATE.fullmatch(node.scalar.strip()) if isinstance(node.scalar, str) else None
        if whole is not None and not whole[1].strip().startswith("variables."):
            return self._expression(whole[1].strip(), node)
        before = len(self._reading)
        value = self._plain(node)
        return Literally(value) if len(self._reading) == before else None

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
            elif (field := self._expression(expression, node)) is not None:
                parts.append(field)
            at = match.end()
        parts.append(node.scalar[at:])
        return tuple(part for part in parts if part != "")

    def _expression(self, text: str, node: Node) -> Field | None:
        """Return the field of a template: a path, or the length of what one leads to."""
        sized = _LENGTH_OF.fullmatch(text)
        return self.path(text if sized is None else f"{sized[1]}.length", node.mark)

    def _check_braces(self, node: Node, text: str) -> None:
        if "{{" in _TEMPLATE.sub("", text):
            self._reading.wrong(node, "a `{{` has no `}}`")


def _is_large(value: Plain) -> bool:
    """Whether a value holds more than it may; looks no further than that."""
    rest, left = [value], MAX_VALUES
    while rest and left >= 0:
        one = rest.pop()
        left -= 1
        if isinstance(one, list):
            rest.extend(one[: left + 1])
        elif isinstance(one, dict):
            rest.extend(one.values())
        elif isinstance(one, str):
            left -= len(one) // 64
    return left < 0
