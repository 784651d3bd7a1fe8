"""Printing values of fields: for messages, tags and logs bounded to one line that no terminal acts on."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from jupiter_addons.dialects.call import Json
from jupiter_addons.policy.nodes import Field
from jupiter_addons.policy.rules import Template

MAX_TEXT_CHARS = 200
"""How much of a field's value a message or tag shows."""


def rendered(template: Template, value: Callable[[Field], Any], most: int) -> str:
    """Print a template with the values of its fields, each in one line of at most `most` characters."""
    return "".join(part if isinstance(part, str) else one_line(printed(value(part)), most) for part in template)


def one_line(text: str, most: int) -> str:
    """Return text in one line, bounded, without anything that a terminal would act on."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * most]).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def plain(value: Any) -> Json:
    """Return what a field was found to be as JSON; what could not be found out is null."""
    if isinstance(value, (list, tuple)):
        return [plain(element) for element in value]
    if isinstance(value, Mapping):
        return {name: plain(member) for name, member in value.items()}
    return value if isinstance(value, (str, int, float, bool)) else None


def printed(value: Any) -> str:
    """Print a value: null is nothing, text is itself, a list is its elements."""
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join(map(printed, value[:MAX_TEXT_CHARS]))
    return json.dumps(value, default=str, ensure_ascii=False)
