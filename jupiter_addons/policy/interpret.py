"""The interpreter: a condition and facts, to true, false or unknown.

The oracle of the language: written to be read, held against by everything faster.

* Absence is null.  `==` and `!=` take null like any value; every other operator with null is false, and a function of null
  is null.
* Unknown (None here) comes from a surprise: a value of a kind the operator or function does not take.  Kleene's logic
  carries it on: it is absorbed by a false in `all` and by a true in `any`, and `not` leaves it.
* Nothing is converted: 7 is not "7", true is not 1; 1 and 1.0 are the same number.  Unlike kinds are unequal, not unknown.
* `[*]` asks whether any element fits: `!=` and `not_in` hold as soon as one element differs, `not` around the condition
  asks about all.  Functions apply to each element, but `len` counts them.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, assert_never

from jupiter_addons.dialects.call import Json
from jupiter_addons.policy.nodes import ALL, Apply, Compare, Condition, Every, Field, Literally, Negation, Some
from jupiter_addons.policy.rules import Rule

type Facts = Mapping[str, Callable[[], Json]]
"""Root name -> what gives its value."""

type Truth = bool | None

type Fire = Callable[[Rule, Truth], bool]
"""Told of each rule that is met (True) or cannot be evaluated (None); returns whether evaluation ends with it."""

type Consult = Callable[["Evaluation", Fire], None]
"""Goes through some rules in order."""


class Many(list[Any]):
    """The values of a path with `[*]`."""


class _Surprise:
    """The value of a function that was given what it does not take."""


SURPRISE = _Surprise()
_UNSEEN = object()


class Evaluation:
    """One evaluation over one set of facts: every root is asked once, every path looked up once."""

    __slots__ = ("_facts", "_found", "_roots")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._roots: dict[str, Json] = {}
        self._found: dict[str, Any] = {}

    def truth(self, condition: Condition) -> Truth:
        """Return whether a condition holds."""
        if isinstance(condition, Compare):
            return self._compare(condition)
        if isinstance(condition, Every):
            unknown = False
            for part in condition.conditions:
                found = self._compare(part) if isinstance(part, Compare) else self.truth(part)
                if found is False:
                    return False
                if found is None:
                    unknown = True
            return None if unknown else True
        if isinstance(condition, Some):
            return _any(map(self.truth, condition.conditions))
        if isinstance(condition, Negation):
            found = self.truth(condition.condition)
            return None if found is None else not found
        assert_never(condition)

    def value(self, subject: Field | Apply | Literally) -> Any:
        """Return a subject's value.  A path with `[*]` gives a `Many`; a function of a wrong kind gives `SURPRISE`."""
        if isinstance(subject, Field):
            found = self._found.get(subject.text, _UNSEEN)
            return self._look_up(subject) if found is _UNSEEN else found
        if isinstance(subject, Literally):
            return subject.value
        return _apply(subject.name, [self.value(argument) for argument in subject.arguments])

    def _look_up(self, field: Field) -> Any:
        root = str(field.steps[0])
        if root not in self._roots:
            ask = self._facts.get(root)
            self._roots[root] = ask() if ask is not None else None
        found = self._found[field.text] = _follow(self._roots[root], field.steps, 1)
        return found

    def _compare(self, condition: Compare) -> Truth:
        subject = condition.subject
        if isinstance(subject, Field):  # as in `value`, without the call: this is where an evaluation spends its time
            actual = self._found.get(subject.text, _UNSEEN)
            if actual is _UNSEEN:
                actual = self._look_up(subject)
        else:
            actual = self.value(subject)
        return holds(actual, condition)


def interpreted(rules: Iterable[Rule]) -> Consult:
    """Return a function that consults rules in order: what is faster has to do the same."""

    def consult(evaluation: Evaluation, fire: Fire) -> None:
        for rule in rules:
            met = evaluation.truth(rule.condition)
            if met is not False and fire(rule, met):
                return

    return consult


def holds(actual: Any, condition: Compare) -> Truth:
    """Return whether a comparison holds for what its subject was found to be."""
    if isinstance(actual, Many):
        one = _HOLDS[condition.operator]
        return _any(None if element is SURPRISE else one(element, condition) for element in actual)
    return None if actual is SURPRISE else _HOLDS[condition.operator](actual, condition)


def _any(truths: Iterable[Truth]) -> Truth:
    unknown = False
    for truth in truths:
        if truth is True:
            return True
        if truth is None:
            unknown = True
    return None if unknown else False


def _follow(value: Any, steps: tuple[str | int, ...], start: int) -> Any:
    for at in range(start, len(steps)):
        step = steps[at]
        if step == ALL:
            if not isinstance(value, (list, tuple)):
                return None
            found = Many()
            for element in value:
                below = _follow(element, steps, at + 1)
                found.extend(below if isinstance(below, Many) else [below])
            return found
        if isinstance(step, int):
            if not isinstance(value, (list, tuple)) or not -len(value) <= step < len(value):
                return None
            value = value[step]
        else:
            if not isinstance(value, Mapping):
                return None
            value = value.get(step)
    return value


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


def _equal(actual: Any, condition: Compare) -> Truth:
    return same(actual, condition.value)


def _unequal(actual: Any, condition: Compare) -> Truth:
    return not same(actual, condition.value)


def _exists(actual: Any, condition: Compare) -> Truth:
    return (actual is not None) is condition.value


def listed(actual: Any, wanted: Any) -> bool:
    """Whether a value is one of a list."""
    if isinstance(actual, str):
        return actual in wanted  # nothing but the same text equals text
    return any(same(actual, element) for element in wanted)


def _in(actual: Any, condition: Compare) -> Truth:
    return actual is not None and listed(actual, condition.value)


def _not_in(actual: Any, condition: Compare) -> Truth:
    return actual is not None and not listed(actual, condition.value)


def _contains(actual: Any, wanted: Any) -> Truth:
    if isinstance(actual, str):
        return wanted in actual if isinstance(wanted, str) else None
    if not isinstance(actual, (list, tuple)):
        return None
    if isinstance(wanted, (list, tuple)):  # a list in a list: whether they share an element
        return any(same(element, one) for element in actual for one in wanted)
    return any(same(element, wanted) for element in actual)


def contain(actual: Any, wanted: Any) -> Truth:
    """Whether text holds a text, or a list an element: what `contains` says."""
    return False if actual is None else _contains(actual, wanted)


def _contain(actual: Any, condition: Compare) -> Truth:
    return contain(actual, condition.value)


def match(actual: Any, pattern: Any) -> Truth:
    """Whether an expression is found in text."""
    if not isinstance(actual, str):
        return False if actual is None else None
    try:
        text = actual.encode()
    except UnicodeEncodeError:  # half a surrogate pair has no UTF-8 to search in
        return None
    return pattern.search(text) is not None


def _matches(actual: Any, condition: Compare) -> Truth:
    return match(actual, condition.pattern)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Compare], Truth]:
    def holds(actual: Any, condition: Compare) -> Truth:
        if isinstance(actual, (int, float)) and not isinstance(actual, bool):
            return compare(actual, condition.value)
        return False if actual is None else None

    return holds


def _text(compare: Callable[[str, Any], bool]) -> Callable[[Any, Compare], Truth]:
    def holds(actual: Any, condition: Compare) -> Truth:
        if isinstance(actual, str):
            return compare(actual, condition.value)
        return False if actual is None else None

    return holds


_HOLDS: Mapping[str, Callable[[Any, Compare], Truth]] = {
    "==": _equal,
    "!=": _unequal,
    "<": _ordered(operator.lt),
    ">": _ordered(operator.gt),
    "<=": _ordered(operator.le),
    ">=": _ordered(operator.ge),
    "contains": _contain,
    "matches": _matches,
    "starts_with": _text(str.startswith),
    "ends_with": _text(str.endswith),
    "in": _in,
    "not_in": _not_in,
    "exists": _exists,
}
"""What each operator of the vocabulary means for one value."""


def _apply(name: str, arguments: list[Any]) -> Any:
    if any(argument is SURPRISE for argument in arguments):
        return SURPRISE
    if any(argument is None for argument in arguments):
        return None
    first, *rest = arguments
    if isinstance(first, Many) and name != "len":
        return Many(_apply(name, [element, *rest]) for element in first)
    match name:
        case "len":
            return len(first) if isinstance(first, (str, list, tuple)) else SURPRISE
        case "lower":
            return first.lower() if isinstance(first, str) else SURPRISE
        case "upper":
            return first.upper() if isinstance(first, str) else SURPRISE
        case "contains":
            found = _contains(first, rest[0])
            return SURPRISE if found is None else found
    raise AssertionError(name)
