"""JSON of answers, read and written without loss.

orjson keeps integers of 64 bits and refuses escaped lone surrogates, and both occur: ids of 20 digits in tool arguments,
and characters cut in two by a stream.  The standard library keeps them, a few times slower; it is asked only where orjson
cannot do it.
"""

import json
import re
from typing import Any, Never

import orjson

from jupiter_addons.errors import Refusal, UpstreamError

_LONG = re.compile(rb"[0-9]{19}")


def loads(data: bytes | str) -> Any:
    """Return the value in `data`.  Raises ValueError if it is no JSON, or has NaN or Infinity."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    if _LONG.search(raw) is None:
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            if b"\\u" not in raw:
                raise
    return json.loads(
        raw.decode("utf-8", "strict" if isinstance(data, bytes) else "surrogatepass"), parse_constant=_constant
    )


def dumps(value: object) -> bytes:
    """Return compact JSON of `value`."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer beyond 64 bits, a lone surrogate
        return json.dumps(value, separators=(",", ":")).encode()


def text(value: object) -> str:
    """Return compact JSON text of `value`."""
    return dumps(value).decode()


def answer(data: bytes) -> dict[str, Any]:
    """Return the object in a provider's answer or event.  Raises UpstreamError."""
    try:
        value = loads(data)
    except (ValueError, RecursionError):
        invalid("what the provider sent is not JSON")
    if not isinstance(value, dict):
        invalid("what the provider sent is not a JSON object")
    return value


def arguments(data: str) -> dict[str, Any] | None:
    """Return the arguments of a tool call, or None if they are no JSON object.  No text at all is no arguments."""
    if not data.strip():
        return {}
    try:
        value = loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def invalid(message: str) -> Never:
    """Refuse what a provider sent."""
    raise UpstreamError(Refusal("provider_invalid_response", message))


def _constant(name: str) -> Never:
    raise ValueError(name)
