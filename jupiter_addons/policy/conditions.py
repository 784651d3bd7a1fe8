"""Reading conditions: `{field, operator, value}`, `{function, args, operator, value}`, `all`, `any`, `not`."""

import re
from typing import Any

import re2

from jupiter_addons.documents import Node
from jupiter_addons.policy.nodes import (
    ALL,
    Apply,
    Compare,
    Condition,
    Every,
    Field,
    Literally,
    Negation,
    Some,
    Step,
    Template,
)
from jupiter_addons.policy.reading import Reading, suggestion
from jupiter_addons.policy.vocabulary import (
    FIELDS,
    FREE,
    FUNCTIONS,
    LATER_FUNCTIONS,
    MESSAGE_FIELDS,
    OPERATORS,
    Kind,
    canonical,
)

MAX_DEPTH = 10
MAX_PATTERN_BYTES = 4096

# Expressions over field paths and templates, which we wrote; what a policy author writes goes to RE2 only.
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)((?:\[(?:-?\d{1,6}|\*)\])*)")
_INDEX = re.compile(r"\[(-?\d+|\*)\]")
_TEMPLATE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")

_EMPTY = Every(())


class Conditions:
    """Reads conditions, fields and templates of one file."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.variables: dict[str, Node] = {}
        self.phases: set[str] = set()
        """The roots that fields read since it was cleared."""

    def read(self, node: Node, depth: int) -> Condition:
        """Return the condition at a node; on a problem, note it and return one that is never used."""
        entries = node.entries
        if entries is None:
            self._reading.wrong(node, f"a condition is a mapping, not {node.kind}")
            return _EMPTY
        if depth > MAX_DEPTH:
            self._reading.wrong(node, f"conditions are nested deeper than {MAX_DEPTH} levels")
            return _EMPTY
        for word in ("all", "any"):
            if word in entries:
                self._reading.known_keys(node, frozenset({word}), f"`{word}`")
                parts = self._parts(entries[word], word, depth)
                return Every(parts) if word == "all" else Some(parts)
        if "not" in entries:
            self._reading.known_keys(node, frozenset({"not"}), "`not`")
            return self._negation(entries["not"], depth)
        if "function" in entries:
            return self._function(node)
        if "field" in entries:
            return self._comparison(node)
        hint = next((suggestion(key, ("field", "function", "all", "any", "not")) for key in entries), None)
        self._reading.wrong(node, "a condition has `field`, `function`, `all`, `any` or `not`", hint)
        return _EMPTY

    def _parts(self, node: Node, word: str, depth: int) -> tuple[Condition, ...]:
        if not node.items:
            self._reading.wrong(node, f"`{word}` is a list of at least one condition")
            return ()
        return tuple(self.read(item, depth + 1) for item in node.items)

    def _negation(self, node: Node, depth: int) -> Condition:
        if node.items is not None:
            if len(node.items) != 1:
                self._reading.wrong(node, "`not` takes one condition")
                return _EMPTY
            node = node.items[0]
        return Negation(self.read(node, depth + 1))

    def _comparison(self, node: Node) -> Condition:
        assert node.entries is not None
        self._reading.known_keys(node, frozenset({"field", "operator", "value"}), "a field condition")
        field = self.field(node.entries["field"])
        return _EMPTY if field is None else self._compare(node, field, field.kind)

    def _function(self, node: Node) -> Condition:
        assert node.entries is not None
        self._reading.known_keys(node, frozenset({"function", "args", "operator", "value"}), "a function condition")
        name = self._reading.text(node, "function")
        if name in LATER_FUNCTIONS:
            self._reading.wrong(node, f"the function `{name}` is not supported by this version")
            return _EMPTY
        if name not in FUNCTIONS:
            self._reading.wrong(node, f"unknown function `{name}`", suggestion(name, FUNCTIONS))
            return _EMPTY
        count, kind = FUNCTIONS[name]
        listed = node.entries.get("args")
        arguments = (listed.items if listed is not None else None) or []
        if len(arguments) != count:
            self._reading.wrong(listed or node, f"`{name}` takes {count} argument{'s' if count > 1 else ''} in `args`")
            return _EMPTY
        subject = Apply(name, tuple(self._argument(item) for item in arguments), node.mark)
        if "operator" not in node.entries and kind == "boolean":
            return Compare(subject, "==", True, node.mark)
        return self._compare(node, subject, kind)

    def _argument(self, node: Node) -> Field | Literally:
        if isinstance(node.scalar, str):
            path = node.scalar
            root = re.split(r"[.\[]", canonical(path), maxsplit=1)[0]
            if root in ("request", "processing", "context", "response") and path != root:
                field = self.field(node)
                return field if field is not None else Literally(None)
        return Literally(self.value(node))

    def _compare(self, node: Node, subject: Field | Apply, kind: Kind) -> Condition:
        assert node.entries is not None
        name = self._reading.text(node, "operator")
        operator = OPERATORS.get(name)
        if operator is None:
            if name:
                self._reading.wrong(node.entries["operator"], f"unknown operator `{name}`", suggestion(name, OPERATORS))
            return _EMPTY
        if kind != "any" and kind not in operator.left:
            self._reading.wrong(node, f"`{name}` does not take a {kind} on its left")
            return _EMPTY
        written = node.entries.get("value")
        if written is None and name != "exists":
            self._reading.wrong(node, f"`{name}` needs a `value`")
            return _EMPTY
        value: Any = True if written is None else self.value(written)
        place = written or node
        wrong = _wrong_value(name, operator.right, kind, value)
        if wrong is not None:
            self._reading.wrong(place, wrong)
            return _EMPTY
        return Compare(subject, name, value, node.mark, self._pattern(place, value) if name == "matches" else None)

    def _pattern(self, node: Node, value: str) -> Any:
        if len(value.encode()) > MAX_PATTERN_BYTES:
            self._reading.wrong(node, f"the expression is longer than {MAX_PATTERN_BYTES} bytes")
            return None
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(value, options)
        except re2.error as error:
            detail = error.args[0] if error.args else "?"
            detail = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
            self._reading.wrong(node, f"not a valid RE2 expression: {detail}")
            return None

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
        kind = _kind_of(path, steps)
        if kind is None:
            known = [*FIELDS, *(prefix + "…" for prefix in FREE)]
            self._reading.wrong(node, f"unknown field `{written}`", suggestion(written, known))
            return None
        self.phases.add(str(steps[0]))
        return Field(path, tuple(steps), kind, node.mark)

    def value(self, node: Node) -> Any:
        """Return a value, with `{{ variables.x }}` replaced by what the variable holds, of its own type if it is alone."""
        if node.items is not None:
            return [self.value(item) for item in node.items]
        if node.entries is not None:
            return {name: self.value(item) for name, item in node.entries.items()}
        if not isinstance(node.scalar, str) or "{{" not in node.scalar:
            return node.scalar
        whole = _TEMPLATE.fullmatch(node.scalar)
        if whole is not None:
            return self._variable(whole[1], node)
        return _TEMPLATE.sub(lambda match: str(self._variable(match[1], node)), node.scalar)

    def _variable(self, expression: str, node: Node) -> Any:
        root, _, name = expression.partition(".")
        if root != "variables" or name not in self.variables:
            hint = (
                suggestion(name, self.variables)
                if root == "variables"
                else "a value can hold `{{ variables.name }}` only"
            )
            self._reading.wrong(node, f"there is no variable `{expression}`", hint)
            return None
        return self.variables[name].plain()

    def template(self, node: Node) -> Template:
        """Return text with fields and variables in it."""
        if not isinstance(node.scalar, str) or not node.scalar:
            self._reading.wrong(node, f"a message is text, not {node.kind}")
            return ()
        parts: list[str | Field] = []
        at = 0
        for match in _TEMPLATE.finditer(node.scalar):
            parts.append(node.scalar[at : match.start()])
            if match[1].startswith("variables."):
                parts.append(str(self._variable(match[1], node)))
            elif (field := self._field(match[1], node)) is not None:
                parts.append(field)
            at = match.end()
        parts.append(node.scalar[at:])
        return tuple(part for part in parts if part != "")


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


def _wrong_value(operator: str, wanted: str, kind: Kind, value: Any) -> str | None:
    """Return what is wrong with a value that an operator is given, or None."""
    match wanted:
        case "number":
            return None if _kind(value) == "number" else f"`{operator}` compares with a number"
        case "string":
            return None if isinstance(value, str) else f"`{operator}` compares with text"
        case "boolean":
            return None if isinstance(value, bool) else f"`{operator}` takes true or false"
        case "list":
            if not isinstance(value, list):
                return f"`{operator}` takes a list"
            wrong = next((v for v in value if kind != "any" and _kind(v) != kind), None)
            return None if wrong is None else f"`{wrong}` in the list can never equal a {kind}"
        case "same":
            if kind == "any" or value is None or _kind(value) == kind:
                return None
            return f"a {kind} can never equal {value!r}"
    return None


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
    return "list"
