"""What evaluation is given, and how a path leads through it.

Facts are roots, each a callable that is asked at most once and only if a rule reads it.  What is dear to work out stands in
them as a `Lazy`; what cannot be worked out is a `SURPRISE`, which makes a condition unknown.  The detectors that functions
call come as the root `detect`.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from jupiter_addons.policy.localtime import local_time
from jupiter_addons.policy.nodes import ALL, LENGTH, Field, Filter, Step, Zone, spelled

type Facts = Mapping[str, Callable[[], Any]]
"""Root name -> what gives its value: JSON, with a `Lazy` or `SURPRISE` where a field of the table is costly.

The root `detect` gives a `Detect`."""


class Many(list[Any]):
    """The values of a path with `[*]`."""


class _Surprise:
    """The value of what was given what it does not take, or failed."""

    def __str__(self) -> str:
        return "?"


SURPRISE = _Surprise()


class Lazy:
    """A value that is worked out when it is needed, once.

    What `work_out` raises makes the value a `SURPRISE`, and is kept in `fault`.  It stands at a costly field or above one,
    never inside the value of one.
    """

    __slots__ = ("_value", "_work_out", "fault")

    def __init__(self, work_out: Callable[[], Any]) -> None:
        self._work_out: Callable[[], Any] | None = work_out
        self._value: Any = None
        self.fault: Exception | None = None

    def value(self) -> Any:
        """Return the value."""
        if self._work_out is not None:
            work_out, self._work_out = self._work_out, None
            try:
                self._value = work_out()
            except Exception as error:  # noqa: BLE001 - a detector may fail in any way; the rules are told that it did
                self._value, self.fault = SURPRISE, error
        return self._value


class Detect(Protocol):
    """The detectors as functions call them, on one text at a time.  What they raise makes the condition unknown."""

    def pii(self, text: str, /) -> Collection[str]:
        """Return the kinds of personal data in a text."""

    def injected(self, text: str, /) -> bool:
        """Return whether a text holds a prompt injection."""

    def injection_score(self, text: str, /) -> float:
        """Return how surely a text holds one, from 0 to 1."""

    def sensitive(self, text: str, /) -> str | None:
        """Return the gravest severity of sensitive content in a text, or None if there is none."""


def follow(value: Any, field: Field, start: int, faults: dict[str, Exception]) -> Any:
    """Return where a field's steps from `start` lead from `value`; note in `faults` what failed on the way."""
    steps = field.steps[:-1] if field.steps[-1] is LENGTH else field.steps
    found = _follow(value, steps, start, faults)
    if found is None and field.owed and not _is_given(value, steps[start:]):
        return SURPRISE
    return length(found) if field.steps[-1] is LENGTH else found


def _is_given(value: Any, steps: tuple[Step, ...]) -> bool:
    """Whether the facts have a field, be it null: what is owed and not there would be a limit that never holds."""
    for step in steps:
        if not isinstance(step, str):
            return True
        value = value.value() if isinstance(value, Lazy) else value
        if not isinstance(value, Mapping) or step not in value:
            return False
        value = value[step]
    return True


def _follow(value: Any, steps: tuple[Step, ...], start: int, faults: dict[str, Exception]) -> Any:
    for at in range(start, len(steps)):
        step = steps[at]
        if value.__class__ is Lazy:
            value = _ask(value, steps[:at], faults)
        if step.__class__ is str:
            if value.__class__ is not dict and not isinstance(value, Mapping):
                return SURPRISE if value is SURPRISE else None
            value = value.get(step)
        elif isinstance(step, int):
            if not isinstance(value, (list, tuple)):
                return SURPRISE if value is SURPRISE else None
            if not -len(value) <= step < len(value):
                return None
            value = value[step]
        elif isinstance(step, Zone):
            timestamp = value.get("timestamp") if isinstance(value, Mapping) else None
            if timestamp is None:
                return SURPRISE if value is SURPRISE else None
            value = local_time(timestamp, step.name)
            if value is None:
                return SURPRISE
        elif not isinstance(value, (list, tuple)):
            return SURPRISE if value is SURPRISE else None
        else:
            return _all(value, steps, at, faults)
    return _ask(value, steps, faults) if value.__class__ is Lazy else value


def _all(elements: Any, steps: tuple[Step, ...], at: int, faults: dict[str, Exception]) -> Any:
    """Return where each element leads that the step lets pass; one without the list that is asked for next adds nothing."""
    step = steps[at]
    again = any(later is ALL or isinstance(later, Filter) for later in steps[at + 1 :])
    found = Many()
    for element in elements:
        if step is ALL or (isinstance(step, Filter) and _passes(element, step)):
            below = _follow(element, steps, at + 1, faults)
            if isinstance(below, Many):
                found.extend(below)
            elif below is SURPRISE or not again:
                found.append(below)
    return found


def _ask(lazy: Lazy, steps: tuple[Step, ...], faults: dict[str, Exception]) -> Any:
    value = lazy.value()
    if lazy.fault is not None:
        faults[spelled(steps)] = lazy.fault
    return value


def _passes(element: Any, step: Filter) -> bool:
    """Whether an element fits; one without the key is not equal to anything."""
    actual = element.get(step.key) if isinstance(element, Mapping) else None
    return (isinstance(actual, str) and actual == step.value) is step.equal


def length(value: Any) -> Any:
    """Return how long a text or list is, or how many values there are; null of null."""
    if value is None:
        return None
    return len(value) if isinstance(value, (str, list, tuple)) else SURPRISE
