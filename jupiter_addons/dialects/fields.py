"""Reading fields of a parsed body, with the refusal that names the path at fault.

A value of the wrong type is refused, never converted: the provider would read it its own way.  An explicit null is the
same as absence, as it is to the providers.
"""

from collections.abc import Sequence
from typing import Any, Never

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.errors import Refusal, RequestError


def invalid(path: str, wanted: str) -> Never:
    """Refuse the value at `path`."""
    raise RequestError(Refusal("invalid_value", f"`{path}` must be {wanted}", param=path))


def text(body: JsonObject, name: str) -> str:
    """Return a string that must be there and not be empty."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        invalid(name, "a non-empty string")
    return value


def flag(body: JsonObject, name: str) -> bool:
    """Return a boolean; absent is False."""
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        invalid(name, "true or false")
    return value


def integer(body: JsonObject, name: str, least: int, most: int) -> int | None:
    """Return a whole number within bounds, or None if absent.  A boolean is not a number, nor is 1.0 a whole one."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not least <= value <= most:
        invalid(name, f"a whole number from {least} to {most}")
    return value


def number(body: JsonObject, name: str) -> None:
    """Check that a number, if present, is one."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        invalid(name, "a number")


def objects(body: JsonObject, name: str) -> Sequence[dict[str, Any]]:
    """Return a list of objects; absent is empty."""
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        invalid(name, "a list")
    for index, element in enumerate(value):
        if not isinstance(element, dict):
            invalid(f"{name}[{index}]", "an object")
    return value


MAX_OUTPUT_TOKENS = 100_000_000
"""No model comes near it; a cap beyond it is a mistake or an attempt to overflow a counter."""
MAX_KEPT_CHARS = 1024 * 1024
"""How many characters of an answer are kept for rules to read; what is longer is counted, not kept."""
