"""Reading what actions take: windows, numbers, choices, expressions, values that may hold fields.

window   45 (seconds), 30s, 5m (minutes), 2h, 7d, 1w, 1mo (30 days), hourly, daily, weekly, monthly
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from jupiter_addons.documents import Node
from jupiter_addons.policy.nodes import Field, Literally
from jupiter_addons.policy.patterns import BadPatternError, expression
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.rules import Template, Term
from jupiter_addons.policy.terms import Terms

_SECONDS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800, "mo": 2_592_000}
_WORDS: Mapping[str, int] = {"hourly": 3600, "daily": 86400, "weekly": 604_800, "monthly": 2_592_000}
MAX_WINDOW_S = 366 * 86400

_WINDOW = re.compile(r"(\d{1,9})(s|mo|m|h|d|w)")
_READS_FIELD = re.compile(r"\{\{\s*+(?!variables\.)")


class Parameters:
    """The parameters of one action, under the names the action's table has."""

    def __init__(self, node: Node, entries: Mapping[str, Node], reading: Reading, terms: Terms) -> None:
        self.node = node
        self._entries = entries
        self._reading = reading
        self._terms = terms

    def __contains__(self, key: str) -> bool:
        """Whether a parameter is given."""
        return key in self._entries

    def place(self, key: str) -> Node:
        """Return where a parameter stands, or its action if it is not there."""
        return self._entries.get(key, self.node)

    def wrong(self, key: str, message: str, hint: str | None = None) -> None:
        """Note a problem with a parameter."""
        self._reading.wrong(self.place(key), message, hint)

    def text(self, key: str) -> str:
        """Return plain text that must be there; empty after a problem."""
        given = self._entries.get(key)
        if given is None:
            self.wrong(key, f"`{key}` is required")
            return ""
        value = self._terms.value(given)
        if isinstance(value, str) and value:
            return value
        self.wrong(key, f"`{key}` is text, not {'empty' if value == '' else given.kind}")
        return ""

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; one text is a list of one, none is empty."""
        given = self._entries.get(key)
        value = [] if given is None else self._terms.value(given)
        found = value if isinstance(value, list) else [value]
        if all(isinstance(one, str) and one for one in found):
            return tuple(found)
        self.wrong(key, f"`{key}` is a list of texts")
        return ()

    def template(self, key: str) -> Template:
        """Return text with fields in it; empty if it is not given."""
        given = self._entries.get(key)
        return () if given is None else self._terms.template(given, key)

    def term(self, node: Node, key: str) -> Term:
        """Return a value with the variables in it replaced, or a template if it names a field."""
        if isinstance(node.scalar, str) and _READS_FIELD.search(node.scalar):
            return self._terms.template(node, key)
        return Literally(self._terms.value(node))

    def fields(self, key: str, aliases: Mapping[str, str] | None = None) -> tuple[Field, ...]:
        """Return the fields that a path, or a list of paths, names."""
        given = self._entries.get(key)
        if given is None:
            return ()
        nodes = [given] if given.items is None else given.items
        found = [self._terms.field(self._spelled(node, aliases or {})) for node in nodes]
        return tuple(field for field in found if field is not None)

    @staticmethod
    def _spelled(node: Node, aliases: Mapping[str, str]) -> Node:
        meant = aliases.get(node.scalar) if isinstance(node.scalar, str) else None
        return node if meant is None else Node(node.mark, scalar=meant)

    def choice(self, key: str, choices: Collection[str], default: str) -> str:
        """Return one of some words."""
        if key not in self:
            return default
        word = self.text(key)
        if word and word not in choices:
            hint = self._reading.near(word, choices) or f"it is one of {', '.join(choices)}"
            self.wrong(key, f"unknown {key} `{word}`", hint)
        return word if word in choices else default

    def flag(self, key: str) -> bool:
        """Return true or false; absent is false."""
        given = self._entries.get(key)
        value = False if given is None else self._terms.value(given)
        if not isinstance(value, bool):
            self.wrong(key, f"`{key}` is true or false")
        return value is True

    def whole(self, key: str, least: int, most: int, default: int | None = None) -> int:
        """Return a whole number within bounds that must be there, unless it has a default."""
        given = self._entries.get(key)
        value = default if given is None else self._terms.value(given)
        if type(value) is not int or not least <= value <= most:
            self.wrong(key, f"`{key}` is a number from {least} to {most}")
            return least
        return value

    def amount(self, key: str, *, whole: bool) -> Term:
        """Return how much is allowed: a number that is not negative, or what gives one for each call."""
        given = self._entries.get(key)
        if given is None:
            self.wrong(key, f"`{key}` is required")
            return Literally(0)
        found = self.term(given, key)
        if isinstance(found, Literally):
            if not is_amount(found.value, whole=whole):
                self.wrong(key, f"`{key}` is a {'whole ' if whole else ''}number, zero or more")
        elif not (len(found) == 1 and isinstance(found[0], Field)):
            self.wrong(key, f"`{key}` is a number or one field that holds one, not text")
        return found

    def window_s(self, key: str) -> int:
        """Return the length of a window in seconds."""
        given = self._entries.get(key)
        value = None if given is None else self._terms.value(given)
        seconds = _seconds(value)
        if seconds is None or not 1 <= seconds <= MAX_WINDOW_S:
            hint = "write 45, 30s, 5m (minutes), 2h, 7d, 1w, 1mo, hourly, daily, weekly or monthly"
            self.wrong(key, f"`{key}` is a length of time of at most 366 days", hint)
            return 1
        return seconds

    def pattern(self, key: str) -> Any:
        """Return a compiled expression over text, or None if it is not given."""
        if key not in self:
            return None
        text = self.text(key)
        try:
            compiled = expression(text, places=True, allowance=self._reading.allowance) if text else None
        except BadPatternError as error:
            self.wrong(key, str(error))
            return None
        if compiled is not None and compiled.search("") is not None:
            self.wrong(key, "the expression is found in empty text: it would be everywhere")
        return compiled


def is_amount(value: object, *, whole: bool) -> bool:
    """Whether a value is a number, zero or more: a whole one, if that is asked."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**53:
        return False
    return not whole or value == int(value)


def _seconds(value: object) -> int | None:
    if type(value) is int:
        return value
    if not isinstance(value, str):
        return None
    if (found := _WINDOW.fullmatch(value)) is not None:
        return int(found[1]) * _SECONDS[found[2]]
    return _WORDS.get(value)
