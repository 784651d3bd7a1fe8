"""What operators mean: two values, to true, false or unknown.

* Absence is null.  `==` and `!=` take null like any value; every other operator with null is false, its negated form too.
* Unknown (None here) comes from a surprise: a value of a kind the operator does not take.
* Nothing is converted: 7 is not "7", true is not 1; 1 and 1.0 are the same number.  Unlike kinds are unequal, not unknown.
* A path with `[*]` asks whether any of its values fits.  To the right of `in` it is a list.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jupiter_addons.policy.facts import SURPRISE, Many

type Truth = bool | None

MOST_PAIRS = 50_000
"""So many pairs of two paths with `[*]`, or of lists in two lists, are compared; whether any of more fits is unknown."""


def judge(name: str, actual: Any, wanted: Any) -> Truth:
    """Return whether an operator holds between what stands to its left and what stands to its right."""
    if actual is SURPRISE or wanted is SURPRISE:
        return None
    if actual.__class__ is Many:
        if wanted.__class__ is Many and name not in _TAKE_LISTS and len(actual) * len(wanted) > MOST_PAIRS:
            return None
        return some(judge(name, element, wanted) for element in actual)
    if wanted.__class__ is Many and name not in _TAKE_LISTS:
        return some(judge(name, actual, element) for element in wanted)
    return _HOLDS[name](actual, wanted)


def some(truths: Iterable[Truth]) -> Truth:
    """Return Kleene's `or`."""
    unknown = False
    for truth in truths:
        if truth is True:
            return True
        if truth is None:
            unknown = True
    return None if unknown else False


def same(left: Any, right: Any) -> bool:
    """Equality without conversion, all the way down: booleans are not numbers, and unlike kinds are unequal."""
    if isinstance(left, str):
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) or left is None:
        return bool(left == right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    return False


def listed(actual: Any, wanted: Any) -> bool:
    """Whether a value is one of a list."""
    if isinstance(actual, str):
        return actual in wanted  # nothing but the same text equals text
    return any(same(actual, element) for element in wanted)


def contain(actual: Any, wanted: Any) -> Truth:
    """Whether text holds a text, or a list an element; of two lists, whether they share one."""
    if actual is None or wanted is None:
        return False
    if isinstance(actual, str):
        return wanted in actual if isinstance(wanted, str) else None
    if not isinstance(actual, (list, tuple)):
        return None
    if isinstance(wanted, (list, tuple)):
        return _meet(actual, wanted)
    return any(same(element, wanted) for element in actual)


def _meet(left: Iterable[Any], right: Iterable[Any]) -> Truth:
    """Whether two lists share an element; a client may have written both, and both may be long."""
    ours, theirs = _sorted_out(left), _sorted_out(right)
    if not ours[0].isdisjoint(theirs[0]):
        return True
    if len(ours[1]) * len(theirs[1]) > MOST_PAIRS:
        return None
    return any(same(element, one) for element in ours[1] for one in theirs[1])


def _sorted_out(elements: Iterable[Any]) -> tuple[set[Any], list[Any]]:
    """Return what a set can hold, told apart by kind as `same` does, and what it cannot."""
    plain: set[Any] = set()
    rest: list[Any] = []
    for element in elements:
        if isinstance(element, str):
            plain.add(element)
        elif element is None or isinstance(element, (bool, int, float)):
            plain.add((isinstance(element, bool), element))
        else:
            rest.append(element)
    return plain, rest


def match(actual: Any, pattern: Any) -> Truth:
    """Whether an expression is found in text."""
    if not isinstance(actual, str):
        return False if actual is None else None
    try:
        text = actual.encode()
    except UnicodeEncodeError:  # half a surrogate pair has no UTF-8 to search in
        return None
    return pattern.search(text) is not None


def may_match(actual: Any, gate: Any) -> bool:
    """Whether any of the expressions behind a gate could be found, or is unknown."""
    if not isinstance(actual, str):
        return True
    try:
        text = actual.encode()
    except UnicodeEncodeError:
        return True
    return gate.search(text) is not None


def is_number(value: Any) -> bool:
    """Whether a value is a number: true and false are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _exists(actual: Any, wanted: Any) -> Truth:
    return (actual is not None) is wanted


def _in(actual: Any, wanted: Any) -> Truth:
    if actual is None or wanted is None:
        return False
    return listed(actual, wanted) if isinstance(wanted, (list, tuple)) else None


def _contain_any(actual: Any, wanted: Any) -> Truth:
    if actual is None or wanted is None:
        return False
    if not isinstance(wanted, (list, tuple)):
        return None
    return some(contain(actual, one) for one in wanted) if isinstance(actual, str) else contain(actual, wanted)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Truth]:
    def holds(actual: Any, wanted: Any) -> Truth:
        if actual is None or wanted is None:
            return False
        return compare(actual, wanted) if is_number(actual) and is_number(wanted) else None

    return holds


def _text(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], Truth]:
    def holds(actual: Any, wanted: Any) -> Truth:
        if actual is None or wanted is None:
            return False
        return compare(actual, wanted) if isinstance(actual, str) and isinstance(wanted, str) else None

    return holds


def _negated(positive: Callable[[Any, Any], Truth]) -> Callable[[Any, Any], Truth]:
    def holds(actual: Any, wanted: Any) -> Truth:
        if actual is None or wanted is None:
            return False
        found = positive(actual, wanted)
        return None if found is None else not found

    return holds


_starts, _ends = _text(str.startswith), _text(str.endswith)
_HOLDS: Mapping[str, Callable[[Any, Any], Truth]] = {
    "==": same,
    "!=": lambda actual, wanted: not same(actual, wanted),
    "<": _ordered(operator.lt),
    ">": _ordered(operator.gt),
    "<=": _ordered(operator.le),
    ">=": _ordered(operator.ge),
    "contains": contain,
    "not_contains": _negated(contain),
    "contains_any": _contain_any,
    "not_contains_any": _negated(_contain_any),
    "matches": match,
    "not_matches": _negated(match),
    "starts_with": _starts,
    "not_starts_with": _negated(_starts),
    "ends_with": _ends,
    "not_ends_with": _negated(_ends),
    "in": _in,
    "not_in": _negated(_in),
    "exists": _exists,
}
"""What each operator of the vocabulary means for one value."""

_TAKE_LISTS = frozenset({"in", "not_in", "contains_any", "not_contains_any"})
