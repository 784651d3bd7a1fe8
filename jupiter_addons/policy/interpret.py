"""The interpreter: a condition and facts, to true, false or unknown.

The oracle of the language: written to be read, held against by everything faster.  Kleene's logic carries unknown on: it is
absorbed by a false in `all` and by a true in `any`, and `not` leaves it.  What operators and functions make of absence and
surprises is in `operators` and `functions`.
"""

from collections.abc import Callable, Iterable
from typing import Any, assert_never

from jupiter_addons.errors import JupiterError
from jupiter_addons.policy.facts import SURPRISE, Detect, follow
from jupiter_addons.policy.facts import Facts as Facts
from jupiter_addons.policy.functions import apply, arithmetic
from jupiter_addons.policy.nodes import (
    Apply,
    Arithmetic,
    Compare,
    Condition,
    Every,
    Field,
    Literally,
    Negation,
    Quantified,
    Relate,
    Some,
    Subject,
)
from jupiter_addons.policy.operators import Truth as Truth
from jupiter_addons.policy.operators import judge, some
from jupiter_addons.policy.rules import Rule

type Fire = Callable[[Rule, Truth], bool]
"""Told of each rule that is met (True) or cannot be evaluated (None); returns whether evaluation ends with it."""

type Consult = Callable[["Evaluation", Fire], None]
"""Goes through some rules in order."""

MOST_BOUND = 50_000
"""So many elements `any` and `all` look at in one evaluation, nested ones each time; of what is left nothing is known."""
_UNSEEN = object()


class Evaluation:
    """One evaluation over one set of facts: every root is asked once, every path looked up once."""

    __slots__ = ("_bound", "_bound_count", "_facts", "_found", "_roots", "faults")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._roots: dict[str, Any] = {}
        self._found: dict[str, Any] = {}
        self._bound: dict[str, Any] = {}
        self._bound_count = 0
        self.faults: dict[str, Exception] = {}
        """What failed, by the field or detector: each made some condition unknown."""

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
            return some(map(self.truth, condition.conditions))
        if isinstance(condition, Negation):
            found = self.truth(condition.condition)
            return None if found is None else not found
        if isinstance(condition, Relate):
            return judge(condition.operator, self.value(condition.left), self.value(condition.right))
        if isinstance(condition, Quantified):
            return self._quantified(condition)
        assert_never(condition)

    def value(self, subject: Subject) -> Any:
        """Return a subject's value.  A path with `[*]` gives a `Many`; what failed or was of a wrong kind gives `SURPRISE`."""
        if isinstance(subject, Field):
            found = self._found.get(subject.text, _UNSEEN)
            return self._look_up(subject) if found is _UNSEEN else found
        if isinstance(subject, Literally):
            return subject.value
        if isinstance(subject, Apply):
            return apply(subject, [self.value(argument) for argument in subject.arguments], self._detect)
        if isinstance(subject, Arithmetic):
            return arithmetic(subject.operator, self.value(subject.left), self.value(subject.right))
        assert_never(subject)

    def _look_up(self, field: Field) -> Any:
        root = str(field.steps[0])
        if root in self._bound:  # another element each time: not to be remembered
            return follow(self._bound[root], field, 1, self.faults)
        found = follow(self._root(root), field, 1, self.faults)
        if found is SURPRISE and not field.lazy:
            raise ValueError(f"the facts have no value for `{field.text}`, which cannot fail") from self.faults.get(
                field.text
            )
        self._found[field.text] = found
        return found

    def _root(self, name: str) -> Any:
        if name not in self._roots:
            ask = self._facts.get(name)
            self._roots[name] = ask() if ask is not None else None
        return self._roots[name]

    def _compare(self, condition: Compare) -> Truth:
        subject = condition.subject
        if isinstance(subject, Field):  # as in `value`, without the call: this is where an evaluation spends its time
            actual = self._found.get(subject.text, _UNSEEN)
            if actual is _UNSEEN:
                actual = self._look_up(subject)
        else:
            actual = self.value(subject)
        wanted = condition.value if condition.pattern is None else condition.pattern
        return judge(condition.operator, actual, wanted)

    def _quantified(self, condition: Quantified) -> Truth:
        elements = self.value(condition.field)
        if elements is None:
            return False
        if not isinstance(elements, (list, tuple)):
            return None
        truths: list[Truth] = []
        for element in elements:
            self._bound_count += 1
            if self._bound_count > MOST_BOUND:
                self.faults[condition.field.text] = JupiterError(
                    f"`any` and `all` look at {MOST_BOUND} elements, not more"
                )
                truths.append(None)
                break
            self._bound[condition.variable] = element
            truths.append(self.truth(condition.condition))
        self._bound.pop(condition.variable, None)
        if not condition.every:
            return some(truths)
        lacking = some(None if truth is None else not truth for truth in truths)
        return None if lacking is None else not lacking

    def _detect(self, name: str, use: Callable[[Detect], Any]) -> Any:
        detectors = self._root("detect")
        if detectors is None:
            return SURPRISE
        try:
            return use(detectors)
        except Exception as error:  # noqa: BLE001 - a detector may fail in any way; the rules are told that it did
            self.faults[f"detect.{name}"] = error
            return SURPRISE


def interpreted(rules: Iterable[Rule]) -> Consult:
    """Return a function that consults rules in order: what is faster has to do the same."""

    def consult(evaluation: Evaluation, fire: Fire) -> None:
        for rule in rules:
            met = evaluation.truth(rule.condition)
            if met is not False and fire(rule, met):
                return

    return consult
