"""What functions and arithmetic give.

A function of a surprise is one, and a function of null is null, but for `exists`.  What a function does not take is a
surprise: so are division by zero and a number beyond what a float can hold, whether it is a float or not.
"""

import functools
import hashlib
import ipaddress
import math
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from jupiter_addons.policy.facts import SURPRISE, Detect, Many, length
from jupiter_addons.policy.fields import SEVERITIES
from jupiter_addons.policy.localtime import in_business_hours
from jupiter_addons.policy.nodes import Apply
from jupiter_addons.policy.operators import contain, is_number, match

MOST_TEXTS = 10_000
"""How many values inside one are searched by a detector; each takes some microseconds, however short it is."""
MAX_BITS = 1024
"""How large a whole number may become: as large as a float."""


def apply(call: Apply, arguments: list[Any], detect: Callable[[str, Callable[[Detect], Any]], Any]) -> Any:
    """Return what a function gives.

    `detect` is asked for what needs a detector: it takes the detector's name and what to do with it, and gives a surprise if
    that fails.  Of a path with `[*]` every value is taken by itself, but `len` counts them.
    """
    if any(argument is SURPRISE for argument in arguments):
        return SURPRISE
    first, *rest = arguments
    if isinstance(first, Many) and call.name != "len":
        return Many(apply(call, [element, *rest], detect) for element in first)
    if call.name == "exists":
        return first is not None
    if any(argument is None for argument in arguments):
        return None
    if call.name in _DETECTED:
        return detect(call.name, lambda detectors: _DETECTED[call.name](detectors, *arguments))
    if call.name == "glob":
        return _or_surprise(match(first, call.pattern))
    return _GIVES[call.name](*arguments)


def arithmetic(sign: str, left: Any, right: Any) -> Any:
    """Return what two numbers come to."""
    if left is SURPRISE or right is SURPRISE:
        return SURPRISE
    if left is None or right is None:
        return None
    if not is_number(left) or not is_number(right):
        return SURPRISE
    try:
        found = _ARITHMETIC[sign](left, right)
    except (ZeroDivisionError, OverflowError):
        return SURPRISE
    if isinstance(found, int):
        return found if found.bit_length() <= MAX_BITS else SURPRISE
    return found if math.isfinite(found) else SURPRISE


_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
"""`%` has the sign of its right side."""


def hash32(value: Any) -> Any:
    """Return the first four bytes of SHA-256 over a value's text; numbers and truth values as JSON prints them."""
    match value:
        case str():
            text = value
        case bool():
            text = "true" if value else "false"
        case int() if value.bit_length() > MAX_BITS:
            return SURPRISE
        case int() | float() if math.isfinite(value):
            text = str(int(value)) if value == int(value) else repr(value)  # 1 and 1.0 are the same number
        case _:
            return SURPRISE
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4], "big")


@functools.lru_cache(maxsize=256)
def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network a text names, or None."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _cidr(address: Any, text: Any) -> Any:
    inside = network(text) if isinstance(text, str) else None
    if inside is None or not isinstance(address, str):
        return SURPRISE
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return SURPRISE
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found) in inside


def _bucket(value: Any, many: Any) -> Any:
    found = hash32(value)
    return SURPRISE if found is SURPRISE or type(many) is not int or many < 1 else found % many


def _or_surprise(truth: Any) -> Any:
    return SURPRISE if truth is None else truth


def _cased(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else SURPRISE


_GIVES: Mapping[str, Callable[..., Any]] = {
    "len": length,
    "lower": _cased(str.lower),
    "upper": _cased(str.upper),
    "contains": lambda value, wanted: _or_surprise(contain(value, wanted)),
    "in_business_hours": lambda timestamp, zone: _or_surprise(in_business_hours(timestamp, zone)),
    "cidr": _cidr,
    "hash": hash32,
    "hash_bucket": _bucket,
}


# -- detectors: each over every text inside a value ---------------------------------------------------------------------


def texts(value: Any) -> Iterator[str]:
    """Yield every text inside a value, numbers as they are printed: a card number need not be quoted.

    Raises ValueError beyond MOST_TEXTS.
    """
    rest = [value]
    left = MOST_TEXTS
    while rest:
        one = rest.pop()
        left -= 1
        if left < 0:
            raise ValueError(f"more than {MOST_TEXTS} values are not searched")
        if isinstance(one, str):
            yield one
        elif isinstance(one, (list, tuple)):
            rest.extend(reversed(one))
        elif isinstance(one, Mapping):
            rest.extend(reversed(list(one.values())))
        elif is_number(one):
            yield repr(one)


def _pii(detect: Detect, value: Any, kinds: Any) -> bool:
    found: set[str] = set()
    for text in texts(value):
        these = detect.pii(text)
        if isinstance(these, str) or not isinstance(these, Collection):
            raise TypeError("the detector did not give kinds")
        found.update(these)
    return bool(found & set(kinds)) if kinds else bool(found)


def _injected(detect: Detect, value: Any) -> bool:
    found = [detect.injected(text) for text in texts(value)]
    if not all(isinstance(one, bool) for one in found):
        raise TypeError("the detector did not give true or false")
    return any(found)


def _injection_score(detect: Detect, value: Any) -> float:
    scores = [detect.injection_score(text) for text in texts(value)]
    if not all(is_number(score) and 0 <= score <= 1 for score in scores):
        raise TypeError("the detector did not give a score from 0 to 1")
    return max(scores, default=0.0)


def _sensitive(detect: Detect, value: Any, severities: Any) -> bool:
    found = {detect.sensitive(text) for text in texts(value)} - {None}
    if not found <= set(SEVERITIES):
        raise TypeError("the detector did not give a severity")
    return bool(found & set(severities))


_DETECTED: Mapping[str, Callable[..., Any]] = {
    "pii": _pii,
    "has_injection": _injected,
    "injection_score": _injection_score,
    "has_sensitive": _sensitive,
}
