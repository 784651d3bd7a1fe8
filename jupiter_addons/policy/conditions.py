"""Reading structured conditions: `{field, operator, value}`, `{function, args, operator, value}`, `all`, `any`, `not`."""

from typing import Any

from jupiter_addons.documents import Node
from jupiter_addons.policy.calls import Calls
from jupiter_addons.policy.checks import NOTHING, Checks, kind_of
from jupiter_addons.policy.fields import ROOTS
from jupiter_addons.policy.nodes import Condition, Every, Literally, Negation, Some, Subject
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import canonical

MAX_DEPTH = 10

_FORMS = ("field", "function", "all", "any", "not")


class Conditions:
    """Reads the conditions of one file."""

    def __init__(self, reading: Reading, terms: Terms) -> None:
        self._reading = reading
        self._terms = terms
        self._checks = Checks(reading)
        self._calls = Calls(reading, terms)

    def read(self, node: Node, depth: int) -> Condition:
        """Return the condition at a node; on a problem, note it and return one that is never used."""
        entries = node.entries
        if entries is None:
            self._reading.wrong(node, f"a condition is a mapping, not {node.kind}")
            return NOTHING
        if depth > MAX_DEPTH:
            self._reading.wrong(node, f"conditions are nested deeper than {MAX_DEPTH} levels")
            return NOTHING
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
        return NOTHING

    def _parts(self, node: Node, word: str, depth: int) -> tuple[Condition, ...]:
        if not node.items:
            self._reading.wrong(node, f"`{word}` is a list of at least one condition")
            return ()
        return tuple(self.read(item, depth + 1) for item in node.items)

    def _negation(self, node: Node, depth: int) -> Condition:
        if node.items is not None:
            if len(node.items) != 1:
                self._reading.wrong(node, "`not` takes one condition", "put several under `all` or `any`")
                return NOTHING
            node = node.items[0]
        return Negation(self.read(node, depth + 1))

    def _comparison(self, node: Node) -> Condition:
        assert node.entries is not None
        self._reading.known_keys(node, frozenset({"field", "operator", "value"}), "a field condition")
        field = self._terms.field(node.entries["field"])
        return NOTHING if field is None else self._compare(node, field)

    def _function(self, node: Node) -> Condition:
        assert node.entries is not None
        self._reading.known_keys(node, frozenset({"function", "args", "operator", "value"}), "a function condition")
        subject = self._apply(node)
        if subject is None:
            return NOTHING
        if kind_of(subject) == "boolean" and not {"operator", "value"} & node.entries.keys():
            return self._checks.truth(node, subject)
        return self._compare(node, subject)

    def _apply(self, node: Node) -> Subject | None:
        assert node.entries is not None
        name = self._reading.text(node, "function")
        if not name:
            return None
        listed = node.entries.get("args")
        if listed is not None and listed.items is None:
            self._reading.wrong(listed, f"`args` is a list, not {listed.kind}")
            return None
        written = (listed.items if listed is not None else None) or []
        arguments = [(self._argument(item), item) for item in written]
        found = [(argument, item) for argument, item in arguments if argument is not None]
        if len(found) < len(arguments):
            return None
        return self._calls.call(node.entries["function"], name, found)

    def _argument(self, node: Node) -> Subject | None:
        """Return an argument: text that begins like a field is one, all other text is itself."""
        if node.entries is not None:
            self._reading.known_keys(node, frozenset({"function", "args"}), "an argument")
            return self._apply(node)
        if isinstance(node.scalar, str) and "." in node.scalar and canonical(node.scalar).startswith(ROOTS):
            return self._terms.field(node)
        return self._terms.operand(node)

    def _compare(self, node: Node, subject: Subject) -> Condition:
        assert node.entries is not None
        name = self._reading.text(node, "operator")
        if not name:
            return NOTHING
        written = node.entries.get("value")
        if written is None and name != "exists":
            self._reading.wrong(node, f"`{name}` needs a `value`")
            return NOTHING
        value: Any = Literally(True) if written is None else self._terms.operand(written)
        if value is None:
            return NOTHING
        return self._checks.compare(node, subject, node.entries["operator"], name, value, written or node)
