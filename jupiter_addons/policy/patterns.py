"""Expressions that policy authors write, compiled by RE2, which takes time linear in the text.

They search UTF-8: what is found where is not asked, and searching text would cost as much again.
"""

from typing import Any

import re2

MAX_BYTES = 4096


class BadPatternError(Exception):
    """Why an expression cannot be used, in words for its author."""


def expression(text: str) -> Any:
    """Return a compiled expression.  Raises BadPatternError."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadPatternError(f"the expression is longer than {MAX_BYTES} bytes")
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text.encode(), options)
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


def _literally(character: str) -> str:
    return character if character.isalnum() or not character.isascii() else f"\\x{ord(character):02x}"
