"""Strict JSON: a body is accepted only if it has exactly one reading.

RFC 8259 leaves duplicate names, big numbers and lone surrogates to the parser, and no two parsers agree.  A gateway that
reads one value and forwards bytes of which the provider reads another has decided about something else.  Everything
ambiguous is therefore refused here, and the received bytes can be forwarded as they are.

The choice: orjson first (it refuses what is not UTF-8, not JSON, NaN, lone surrogates), then one pass of the standard
library's C scanner with hooks that see every pair and every number, which is where duplicates and magnitudes show.
Depth is bounded before either of them runs.
"""

import json
import re
from typing import Any, Never

import orjson

from jupiter_addons.dialects.call import JsonObject
from jupiter_addons.errors import Refusal, RequestError, UpstreamError

MAX_DEPTH = 64
MAX_INTEGER = 2**53
"""Beyond it, a parser that keeps numbers as doubles (RFC 8259, section 6) reads another value."""

DECIDING = frozenset({
    "model", "models", "messages", "input", "prompt", "system", "instructions", "stream", "tools", "functions", "tool_choice",
    "max_tokens", "max_completion_tokens", "max_output_tokens", "n", "user", "metadata", "role", "content", "name",
    "tool_calls", "stop", "options",
})  # fmt: skip
"""The names that something is decided by."""

UNREADABLE = Refusal(
    "provider_invalid_response", "the provider's answer cannot be read in one way only, and may not pass unread"
)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_NESTING = bytes(set(range(256)) - set(b"[]{}"))


def scan(body: bytes) -> JsonObject:
    """Return the object in `body`.

    Raises RequestError: `invalid_json` (not JSON, not UTF-8, empty), `ambiguous_body` (duplicate names, numbers without
    one value, too deep) or `invalid_value` (not an object).
    """
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        _refuse("ambiguous_body", f"the body is nested deeper than {MAX_DEPTH} levels")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _refuse("invalid_json", f"the body is not valid JSON at byte {error.pos}: {_plain(error.msg)}")
    if not isinstance(value, dict):
        _refuse("invalid_value", "the body must be a JSON object")
    _check_case(value)
    for turns in ("messages", "input"):
        listed = value.get(turns)
        for position, turn in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(turn, dict):
                _check_case(turn, f"{turns}[{position}].")
    try:
        _DECODER.decode(body.decode())
    except _AmbiguousError as error:
        path = _path_of_duplicate(body) if error.name is not None else None
        _refuse("ambiguous_body", error.args[0], path)
    return value


def _check_case(held: dict[str, Any], place: str = "") -> None:
    """Refuse a name that is another spelling of one that decides: servers written in Go read it as that one."""
    for name in held:
        if name not in DECIDING and name.casefold() in DECIDING:
            path = f"{place}{_plain(name)}"
            _refuse("ambiguous_body", f"`{path}` is read as `{name.casefold()}` by some servers; write it so", path)


class _AmbiguousError(ValueError):
    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _AmbiguousError(f"the name `{_plain(name)}` appears twice in one object", name)
            seen.add(name)
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or not -MAX_INTEGER <= (value := int(text)) <= MAX_INTEGER:
        raise _AmbiguousError(f"the number `{text[:32]}` is beyond 2^53 and has no single value")
    return value


def _real(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _AmbiguousError(f"the number `{text[:32]}` is too large to have a value")
    if text[-1] not in "0123456789":  # pragma: no cover - orjson has refused it before
        raise _AmbiguousError("a number is cut short")
    return value


def read_answer(data: bytes) -> JsonObject:
    """Return the object that is a provider's answer, or an event of one, for a rule that has to see what its client reads.

    Raises UpstreamError if there is no such object, or a name stands twice in one.
    """
    try:
        value = orjson.loads(data)
        _ONCE.decode(data.decode())
    except ValueError as error:
        raise UpstreamError(UNREADABLE) from error
    if not isinstance(value, dict):
        raise UpstreamError(UNREADABLE)
    return value


_ONCE = json.JSONDecoder(object_pairs_hook=_pairs)
_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_float=_real)


def _depth(body: bytes) -> int:
    """Return how deep brackets nest outside strings; linear, and no recursion."""
    deepest = depth = 0
    for byte in _STRING.sub(b"", body).translate(None, _NOT_NESTING):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        else:
            depth -= 1
    return deepest


def _path_of_duplicate(body: bytes) -> str | None:
    """Find where the duplicate is, on the slow path: decode again with pairs kept as they are."""
    tree = json.JSONDecoder(object_pairs_hook=_Pairs).decode(body.decode())
    return _search(tree, "")


class _Pairs(list[tuple[str, Any]]):
    """An object as its pairs, told apart from an array."""


def _search(value: object, path: str) -> str | None:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, member in value:
            here = f"{path}.{name}" if path else name
            if name in seen:
                return _plain(here)
            seen.add(name)
            if (found := _search(member, here)) is not None:
                return found
    elif isinstance(value, list):
        for index, member in enumerate(value):
            if (found := _search(member, f"{path}[{index}]")) is not None:
                return found
    return None


def _plain(text: str) -> str:
    """Return client text that can stand in a one-line message."""
    return "".join(char if char.isprintable() else "?" for char in text[:120])


def _refuse(code: str, message: str, param: str | None = None) -> Never:
    raise RequestError(Refusal(code, message, param=param))
