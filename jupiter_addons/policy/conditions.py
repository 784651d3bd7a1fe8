"""Reading conditions: `{field, operator, value}`, `{function, args, operator, value}`, `all`, `any`, `not`.

What can be known to go wrong on every request is a problem here: a value or an argument of a kind that never fits would
otherwise be unknown each time, and a rule that denies counts unknown as met.
"""

import json
from typing import Any

import re2

from jupiter_addons.documents import Node
from jupiter_addons.policy.nodes import Apply, Compare, Condition, Every, Field, Literally, Negation, Some
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import (
    FUNCTIONS,
    LATER_FUNCTIONS,
    LATER_OPERATORS,
    OPERATORS,
    ROOTS,
    Kind,
    canonical,
)

MAX_DEPTH = 10
MAX_PATTERN_BYTES = 4096

_FORMS = ("field", "function", "all", "any", "not")
_EMPTY = Every(())


class Conditions:
    """Reads the conditions of one file."""

    def __init__(self, reading: Reading, terms: Terms) -> None:
        self._reading = reading
        self._terms = terms

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
        hint = next((near for key in entries if (near := self._reading.near(key, _FORMS)) is not None), None)
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
                self._reading.wrong(node, "`not` takes one condition", "put several under `all` or `any`")
                return _EMPTY
            node = node.items[0]
        return Negation(self.read(node, depth + 1))

    def _comparison(self, node: Node) -> Condition:
        assert node.entries is not None
        self._reading.known_keys(node, frozenset({"field", "operator", "value"}), "a field condition")
        field = self._terms.field(node.entries["field"])
        return _EMPTY if field is None else self._compare(node, field, field.kind)

    def _function(self, node: Node) -> Condition:
        assert node.entries is not None
        self._reading.known_keys(node, frozenset({"function", "args", "operator", "value"}), "a function condition")
        subject = self._apply(node)
        if subject is None:
            return _EMPTY
        kind = FUNCTIONS[subject.name].gives
        if kind == "boolean" and not {"operator", "value"} & node.entries.keys():
            return Compare(subject, "==", True, node.mark)
        return self._compare(node, subject, kind)

    def _apply(self, node: Node) -> Apply | None:
        assert node.entries is not None
        name = self._reading.text(node, "function")
        if name in LATER_FUNCTIONS:
            self._reading.later(node.entries["function"], f"the function `{name}` is")
            return None
        if name not in FUNCTIONS:
            if name:
                place = node.entries["function"]
                self._reading.wrong(place, f"unknown function `{name}`", self._reading.near(name, FUNCTIONS))
            return None
        listed = node.entries.get("args")
        written = (listed.items if listed is not None else None) or []
        takes = FUNCTIONS[name].takes
        if len(written) != len(takes):
            many = "s" if len(takes) > 1 else ""
            self._reading.wrong(listed or node, f"`{name}` takes {len(takes)} argument{many} in `args`")
            return None
        arguments = [self._argument(item, name, takes[at]) for at, item in enumerate(written)]
        found = tuple(argument for argument in arguments if argument is not None)
        return Apply(name, found, node.mark) if len(found) == len(takes) else None

    def _argument(self, node: Node, function: str, takes: frozenset[Kind]) -> Field | Apply | Literally | None:
        """Return an argument: text that begins like a field is one, all other text is itself."""
        found: Field | Apply | Literally | None
        kind: str
        if node.entries is not None:
            self._reading.known_keys(node, frozenset({"function", "args"}), "an argument")
            found = self._apply(node)
            kind = FUNCTIONS[found.name].gives if found is not None else "any"
        elif isinstance(node.scalar, str) and canonical(node.scalar).startswith(ROOTS):
            found = self._terms.field(node)
            kind = found.kind if found is not None else "any"
        else:
            value = self._terms.value(node)
            found, kind = Literally(value), _kind(value)
        if kind != "any" and kind not in takes:
            self._reading.wrong(node, f"`{function}` does not take a {kind} here")
            return None
        return found

    def _compare(self, node: Node, subject: Field | Apply, kind: Kind) -> Condition:
        assert node.entries is not None
        name = self._reading.text(node, "operator")
        operator = OPERATORS.get(name)
        if operator is None:
            if name in LATER_OPERATORS:
                self._reading.later(node.entries["operator"], f"the operator `{name}` is")
            elif name:
                place = node.entries["operator"]
                self._reading.wrong(place, f"unknown operator `{name}`", self._reading.near(name, OPERATORS))
            return _EMPTY
        if kind != "any" and kind not in operator.left:
            self._reading.wrong(node.entries["operator"], f"`{name}` does not take a {kind} on its left")
            return _EMPTY
        written = node.entries.get("value")
        if written is None and name != "exists":
            self._reading.wrong(node, f"`{name}` needs a `value`")
            return _EMPTY
        before = len(self._reading)
        value: Any = True if written is None else self._terms.value(written)
        if len(self._reading) > before:
            return _EMPTY
        place = written or node
        wrong = _wrong_value(name, operator.right, kind, value)
        if wrong is not None:
            self._reading.wrong(place, wrong)
            return _EMPTY
        return Compare(subject, name, value, node.mark, self._pattern(place, value) if name == "matches" else None)

    def _pattern(self, node: Node, value: str) -> Any:
        """Return an expression that searches UTF-8: what is found where is not asked, and costs as much again as text."""
        if len(value.encode("utf-8", "surrogatepass")) > MAX_PATTERN_BYTES:
            self._reading.wrong(node, f"the expression is longer than {MAX_PATTERN_BYTES} bytes")
            return None
        options = re2.Options()
        options.log_errors = False
        try:
            return re2.compile(value.encode(), options)
        except UnicodeEncodeError:
            self._reading.wrong(node, "the expression holds half a surrogate pair")
        except re2.error as error:
            detail = error.args[0] if error.args else "?"
            detail = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
            self._reading.wrong(node, f"not a valid RE2 expression: {detail}")
        return None


def _wrong_value(operator: str, wanted: str, kind: Kind, value: Any) -> str | None:
    """Return what is wrong with a value that an operator is given, or None."""
    given = _kind(value)
    match wanted:
        case "number" if given != wanted:
            return f"`{operator}` compares with a number"
        case "string" if given != wanted:
            return f"`{operator}` compares with text"
        case "boolean" if given != wanted:
            return f"`{operator}` takes true or false"
        case "list":
            if given != "list":
                return f"`{operator}` takes a list"
            wrong = next((element for element in value if kind != "any" and _kind(element) != kind), _EMPTY)
            return None if wrong is _EMPTY else f"`{json.dumps(wrong)}` in the list can never equal a {kind}"
        case "same" if kind != "any" and value is not None and given != kind:
            return f"a {kind} can never equal {value!r}"
        case "any" if given == "null" or (kind == "string" and given != "string"):
            return f"`{operator}` on a {kind} does not take a {given}"
    return None


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case dict():
            return "mapping"
    return "list"
