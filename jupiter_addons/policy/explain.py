"""Why a decision is what it is: every rule, every condition, what it was about and what it came to.

Worked out by the interpreter, over the same facts that were decided on.  A value is shown in a few words and never whole;
what may be a secret in it is not shown.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from jupiter_addons.documents import Mark
from jupiter_addons.policy.decide import Decision, evaluate
from jupiter_addons.policy.facts import SURPRISE
from jupiter_addons.policy.interpret import Evaluation, Facts, Fire, Truth
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
    Zone,
    spelled,
)
from jupiter_addons.policy.printing import one_line, plain
from jupiter_addons.policy.rules import PolicySet, Rule
from jupiter_addons.policy.vocabulary import Phase

MAX_CHARS = 60
"""How much of a value is shown."""

# Patterns of ours, without nested repeats, over values of calls; what a policy author writes goes to RE2 only.
_KEY = re.compile(
    r"\b(?:sk|pk|rk|jup|ghp|gho|ghs|github_pat|xox[abprs]|AKIA|ASIA|AIza|glpat|hf|eyJ)[-_A-Za-z0-9][-_.A-Za-z0-9]{8,}"
)
_RANDOM = re.compile(r"\b(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9+/_=]{20,}")
"""Words that nobody would say: letters and digits in one, and long."""
_HIDDEN = "[hidden]"

type State = Literal["decided", "fired", "not met", "unknown", "passed over", "not consulted"]


@dataclass(frozen=True, slots=True)
class Step:
    """One condition and what it came to.  `all`, `any` and `not` have parts and no values of their own."""

    form: Literal["condition", "all", "any", "not"]
    text: str
    truth: Truth
    mark: Mark | None
    value: str | None = None
    operator: str | None = None
    operand: str | None = None
    parts: tuple["Step", ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule: `passed over` was met, and another rule of its policy was the first; `not consulted` stands too late."""

    rule: Rule
    state: State
    truth: Truth
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Nearest:
    """The rule that came nearest to firing, and what would have to be otherwise for it to fire."""

    rule: Rule
    flips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision and the rules of its phase, in the order they are consulted."""

    decision: Decision
    rules: tuple[Judged, ...]
    nearest: Nearest | None


def explain(policies: PolicySet, facts: Facts, phase: Phase) -> Explanation:
    """Decide, and say why."""
    once: Facts = {root: functools.cache(ask) for root, ask in facts.items()}
    consulted: dict[int, Truth] = {}
    rules = policies.in_phase(phase)

    def consult(evaluation: Evaluation, fire: Fire) -> None:
        for number, rule in enumerate(rules):
            met = consulted[number] = evaluation.truth(rule.condition)
            if met is not False and fire(rule, met):
                return

    decision = evaluate(policies, consult, once, phase)
    seen = Evaluation(once)
    judged = []
    for number, rule in enumerate(rules):
        steps = tuple(_step(part, seen) for part in rule.condition.conditions)
        truth = consulted[number] if number in consulted else seen.truth(rule.condition)
        judged.append(Judged(rule, _state(rule, truth, number in consulted, decision), truth, steps))
    return Explanation(decision, tuple(judged), _nearest(judged))


def fields_of(condition: Condition) -> Iterator[Field]:
    """Yield every field that a condition reads; of `any` and `all` over a list, the list."""
    match condition:
        case Compare():
            yield from _fields_in(condition.subject)
        case Relate():
            yield from _fields_in(condition.left)
            yield from _fields_in(condition.right)
        case Every() | Some():
            for part in condition.conditions:
                yield from fields_of(part)
        case Negation():
            yield from fields_of(condition.condition)
        case Quantified():
            yield condition.field
            for field in fields_of(condition.condition):
                if field.steps[0] != condition.variable:
                    yield field
        case _:
            assert_never(condition)


def _fields_in(subject: Subject) -> Iterator[Field]:
    match subject:
        case Field():
            yield subject
        case Apply():
            for argument in subject.arguments:
                yield from _fields_in(argument)
        case Arithmetic():
            yield from _fields_in(subject.left)
            yield from _fields_in(subject.right)


def _state(rule: Rule, truth: Truth, consulted: bool, decision: Decision) -> State:
    if not consulted:
        return "not consulted"
    if truth is False:
        return "not met"
    if (rule.policy, rule.name) == (decision.policy, decision.rule) and rule.mode == "enforce":
        return "decided"
    if any((fired.policy, fired.rule) == (rule.policy, rule.name) for fired in decision.fired):
        return "fired"
    return "unknown" if truth is None else "passed over"


# -- conditions -----------------------------------------------------------------------------------------------------------


def _step(condition: Condition, seen: Evaluation) -> Step:
    truth, text = seen.truth(condition), written(condition)
    match condition:
        case Compare():
            value, operand = masked(seen.value(condition.subject)), masked(condition.value)
            return Step("condition", text, truth, condition.mark, value, condition.operator, operand)
        case Relate():
            left, right = masked(seen.value(condition.left)), masked(seen.value(condition.right))
            return Step("condition", text, truth, condition.mark, left, condition.operator, right)
        case Quantified():
            return Step("condition", text, truth, condition.mark, masked(seen.value(condition.field)))
        case Negation():
            return Step("not", text, truth, None, parts=(_step(condition.condition, seen),))
        case Every() | Some():
            parts = tuple(_step(part, seen) for part in condition.conditions)
            return Step("all" if isinstance(condition, Every) else "any", text, truth, None, parts=parts)
        case _:
            assert_never(condition)


def written(condition: Condition) -> str:
    """Print a condition in one line, as a `when` has it."""
    match condition:
        case Compare(operator="exists"):
            return f"{'' if condition.value else 'not '}exists({_spelled(condition.subject)})"
        case Compare(operator="==", value=True):
            return _spelled(condition.subject)
        case Compare():
            return f"{_spelled(condition.subject)} {_word(condition.operator)} {masked(condition.value)}"
        case Relate():
            return f"{_spelled(condition.left)} {_word(condition.operator)} {_spelled(condition.right)}"
        case Quantified():
            name = "all" if condition.every else "any"
            return f"{name}({_spelled(condition.field)}, {condition.variable}: {written(condition.condition)})"
        case Negation():
            return f"not ({written(condition.condition)})"
        case Every() | Some():
            word, nothing = (" and ", "true") if isinstance(condition, Every) else (" or ", "false")
            parts = [written(part) for part in condition.conditions]
            return word.join(f"({p})" if " and " in p or " or " in p else p for p in parts) or nothing
        case _:
            assert_never(condition)


def _word(operator: str) -> str:
    return operator.replace("not_", "not ", 1)


def _spelled(subject: Subject) -> str:
    match subject:
        case Field():
            return spelled(tuple(step for step in subject.steps if not isinstance(step, Zone)))
        case Apply():
            return f"{subject.name}({', '.join(map(_spelled, subject.arguments))})"
        case Arithmetic():
            return f"{_spelled(subject.left)} {subject.operator} {_spelled(subject.right)}"
        case Literally():
            return masked(subject.value)
        case _:
            assert_never(subject)


def masked(value: Any) -> str:
    """Print a value as JSON, in one line and cut, without what may be a secret; what could not be worked out is `unknown`."""
    if value is SURPRISE:
        return "unknown"
    return one_line(without_secrets(json.dumps(plain(value), ensure_ascii=False)), MAX_CHARS)


def without_secrets(text: str) -> str:
    """Return text without what may be a secret in it: keys of known forms, and words that look random."""
    return _RANDOM.sub(_HIDDEN, _KEY.sub(_HIDDEN, text))


# -- what would have to be otherwise --------------------------------------------------------------------------------------


def _nearest(judged: list[Judged]) -> Nearest | None:
    """Return the enforced rule with the fewest false conditions; of several, the one with the most that hold."""
    missed = [one for one in judged if one.truth is False and one.rule.mode == "enforce" and one.state == "not met"]
    if not missed:
        return None

    def distance(one: Judged) -> tuple[int, int]:
        truths = [step.truth for step in one.steps]
        return truths.count(False), -truths.count(True)

    best = min(missed, key=distance)
    flips = [flip for step in best.steps if step.truth is not True for flip in _flips(step, wanted=True)]
    return Nearest(best.rule, tuple(flips))


def _flips(step: Step, *, wanted: bool) -> list[str]:
    """Return what has to change for a condition to be true, or false: all of it."""
    if step.truth is wanted:
        return []
    match step.form:
        case "condition":
            is_now = "" if step.value is None else f" (now {step.value})"
            return [f"`{step.text}` would have to be {'true' if wanted else 'false'}{is_now}"]
        case "not":
            return _flips(step.parts[0], wanted=not wanted)
    each = [_flips(part, wanted=wanted) for part in step.parts]
    if (step.form == "all") is wanted or len(each) < 2:
        return [flip for flips in each for flip in flips]
    return ["one of: " + "; or ".join(" and ".join(flips) for flips in each)]
