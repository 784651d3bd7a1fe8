"""Expressions that policy authors write, compiled by RE2, which takes time linear in the text.

They search UTF-8: where something is found is seldom asked, and searching text would cost as much again.
"""

from collections.abc import Sequence
from typing import Any

import re2

MAX_BYTES = 4096
GATE_FROM = 4
"""So many expressions that are searched in the same text get a gate."""


class BadPatternError(Exception):
    """Why an expression cannot be used, in words for its author."""


def expression(text: str, *, places: bool = False) -> Any:
    """Return a compiled expression; with `places` it searches text, and says in characters where.  Raises BadPatternError."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadPatternError(f"the expression is longer than {MAX_BYTES} bytes")
    try:
        return re2.compile(text if places else text.encode(), _options())
    except UnicodeEncodeError as error:
        raise BadPatternError("the expression holds half a surrogate pair") from error
    except re2.error as error:
        detail = error.args[0] if error.args else "?"
        detail = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise BadPatternError(f"not a valid RE2 expression: {detail}") from error


def wildcard(text: str) -> Any:
    """Return the compiled form of a text in which `*` is any text and `?` any character, for the whole of what it is
    searched in.  Raises BadPatternError."""
    parts = {"*": "(?s:.*)", "?": "(?s:.)"}
    return expression(r"\A" + "".join(parts.get(c) or _literally(c) for c in text) + r"\z")


def gate(expressions: Sequence[Any]) -> Any:
    """Return one expression that is found exactly where one of many is, or None if they cannot be put into one.

    RE2 makes one automaton of all, and nearly always finds nothing in one pass.
    """
    sources = [expression.pattern for expression in expressions]
    if len(sources) < GATE_FROM or any(b"\\Q" in source or b"\\E" in source for source in sources):
        return None  # a quotation that is left open would take in the alternatives behind it
    try:
        return re2.compile(b"|".join(b"(?:" + source + b")" for source in sources), _options(captures=False))
    except re2.error:  # too large together
        return None


def _options(*, captures: bool = True) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures
    return options


def _literally(character: str) -> str:
    return character if character.isalnum() or not character.isascii() else f"\\x{ord(character):02x}"
