"""The interpreter: a condition and facts, to true, false or unknown.

The oracle of the language: written to be read, held against by everything faster.

* Absence is null.  `==` and `!=` take null like any value; every other operator with null is false.
* Unknown (None here) comes from a surprise: a value of a kind the operator does not take.  Kleene's logic carries it on: it
  is absorbed by a false in `all` and by a true in `any`.
* Nothing is converted: 7 is not "7", true is not 1; 1 and 1.0 are the same number.
* `[*]` asks whether any element fits.
"""

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from jupiter_addons.dialects.call import Json
from jupiter_addons.policy.nodes import ALL, Apply, Compare, Condition, Every, Field, Literally, Negation, Some

type Facts = Mapping[str, Callable[[], Json]]
"""Root name -> what gives its value."""

type Truth = bool | None


class Evaluation:
    """One evaluation over one set of facts: every root is asked once, every path looked up once."""

    __slots__ = ("_facts", "_found", "_roots")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._roots: dict[str, Json] = {}
        self._found: dict[str, Any] = {}

    def truth(self, condition: Condition) -> Truth:
        """Return whether a condition holds."""
        match condition:
            case Compare():
                return self._compare(condition)
            case Every(conditions):
                unknown = False
                for part in conditions:
                    found = self.truth(part)
                    if found is False:
                        return False
                    unknown = unknown or found is None
                return None if unknown else True
            case Some(conditions):
                unknown = False
                for part in conditions:
                    found = self.truth(part)
                    if found is True:
                        return True
                    unknown = unknown or found is None
                return None if unknown else False
            case Negation(part):
                found = self.truth(part)
                return None if found is None else not found
        assert_never(condition)

    def value(self, subject: Field | Apply | Literally) -> Any:
        """Return a subject's value.  A path with `[*]` gives a `Many`; a function of a wrong kind gives `SURPRISE`."""
        match subject:
            case Field(text=text):
                if text not in self._found:
                    self._found[text] = self._look_up(subject)
                return self._found[text]
            case Literally(value):
                return value
            case Apply(name, arguments):
                return _apply(name, [self.value(argument) for argument in arguments])
        assert_never(subject)

    def _look_up(self, field: Field) -> Any:
        root = str(field.steps[0])
        if root not in self._roots:
            ask = self._facts.get(root)
            self._roots[root] = ask() if ask is not None else None
        return _follow(self._roots[root], field.steps, 1)

    def _compare(self, condition: Compare) -> Truth:
        actual = self.value(condition.subject)
        if isinstance(actual, Many):
            found = [_holds(condition, element) for element in actual]
            return True if True in found else None if None in found else False
        return _holds(condition, actual)


class Many(list[Any]):
    """The values of a path with `[*]`."""


class _Surprise:
    """The value of a function that was given what it does not take."""


SURPRISE = _Surprise()


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
    """Equality without conversion: booleans are not numbers, lists are equal element by element."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _holds(condition: Compare, actual: Any) -> Truth:
    operator, wanted = condition.operator, condition.value
    if actual is SURPRISE:
        return None
    if operator == "exists":
        return (actual is not None) == wanted
    if operator == "==":
        return same(actual, wanted)
    if operator == "!=":
        return not same(actual, wanted)
    if actual is None:
        return False
    if operator == "in":
        return any(same(actual, element) for element in wanted)  # type: ignore[union-attr] # load has checked the list
    if operator == "not_in":
        return not any(same(actual, element) for element in wanted)  # type: ignore[union-attr] # load has checked the list
    if operator == "contains":
        return _contains(actual, wanted)
    if operator in ("<", ">", "<=", ">="):
        return _ordered(operator, actual, wanted) if _is_number(actual) else None
    if not isinstance(actual, str):
        return None
    if operator == "matches":
        return condition.pattern.search(actual) is not None
    assert isinstance(wanted, str)
    return actual.startswith(wanted) if operator == "starts_with" else actual.endswith(wanted)


def _ordered(operator: str, left: Any, right: Any) -> bool:
    match operator:
        case "<":
            return bool(left < right)
        case ">":
            return bool(left > right)
        case "<=":
            return bool(left <= right)
    return bool(left >= right)


def _contains(actual: Any, wanted: Any) -> Truth:
    if isinstance(actual, str):
        return wanted in actual if isinstance(wanted, str) else None
    if isinstance(actual, (list, tuple)):
        if isinstance(wanted, (list, tuple)):  # a list in a list: whether they share an element
            return any(same(element, one) for element in actual for one in wanted)
        return any(same(element, wanted) for element in actual)
    return None


def _apply(name: str, arguments: list[Any]) -> Any:
    first = arguments[0]
    if first is None:
        return None
    match name:
        case "len":
            return len(first) if isinstance(first, (str, list, tuple)) else SURPRISE
        case "lower":
            return first.lower() if isinstance(first, str) else SURPRISE
        case "upper":
            return first.upper() if isinstance(first, str) else SURPRISE
        case "contains":
            found = _contains(first, arguments[1])
            return SURPRISE if found is None else found
    raise AssertionError(name)
