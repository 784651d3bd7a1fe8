"""How much a leaf holds of what others say: texts, lists and names cut to a size, whoever says it."""

from collections.abc import Mapping
from typing import Any

import orjson

MAX_TEXT = 256
"""Text from outside that is longer than so many bytes of UTF-8 is cut; what is cut ends in `…`."""
FEW = 2
"""So many rules or tags fit however long their texts are, and are not measured."""
MAX_ITEMS, MAX_ITEM = 16, 32
"""Of a list, finish reasons say, so many entries are kept, each cut to so many bytes."""
_CONTROLS = dict.fromkeys(range(32), "\ufffd")


def cut(text: str, most: int = MAX_TEXT) -> str:
    """Return `text` fit for a leaf: bounded in bytes, without lone surrogates, which no UTF-8 can hold, or controls.

    A control character takes six bytes of JSON and says nothing to a reader; it becomes U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text if len(text) <= most else text[: most - 1] + "…"
    clean = text[: most + 1].translate(_CONTROLS).encode("utf-8", "replace")
    return clean.decode() if len(clean) <= most else clean[: most - 1].decode("utf-8", "ignore") + "…"


def texts(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with every text among them, and in lists among them, cut."""
    return {name: _bounded(value) for name, value in given.items()}


def _bounded(value: Any) -> Any:
    match value:
        case str():
            return cut(value)
        case list() | tuple():
            return [cut(item, MAX_ITEM) for item in value[:MAX_ITEMS]]
        case _:
            return value


def fitting[Entry](entries: list[Entry], most_bytes: int) -> tuple[list[Entry], int]:
    """Return the first entries that fit when encoded, and how many did not."""
    if len(entries) <= FEW or len(orjson.dumps(entries)) <= most_bytes:
        return entries, 0
    left_bytes = most_bytes - len("[]")
    for number, entry in enumerate(entries):
        left_bytes -= len(orjson.dumps(entry)) + len(",")
        if left_bytes < 0:
            return entries[:number], len(entries) - number
    return entries, 0


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
