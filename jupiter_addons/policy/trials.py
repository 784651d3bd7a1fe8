"""Trying cases on policies, and counting which rules they reach.

What is decided is decided as the gateway does it, by the indexed rules; what an example's condition comes to, by the
interpreter.
"""

import functools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jupiter_addons.errors import RequestError
from jupiter_addons.policy.assume import assumed, overlooked
from jupiter_addons.policy.cases import Asked, Example, Trial
from jupiter_addons.policy.decide import Decision, evaluate
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.interpret import Consult, Evaluation, Facts, Fire, Truth
from jupiter_addons.policy.rules import PolicySet, Rule
from jupiter_addons.policy.vocabulary import Phase

type Gateway = Callable[[Asked, Phase], Facts]
"""Gives the facts of what is asked, as the gateway would have them.  Raises RequestError where it would refuse."""

Status = Literal["passed", "failed", "todo", "skipped"]
_WORDS: Mapping[Truth, str] = {True: "true", False: "false", None: "unknown"}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case."""

    trial: Trial
    status: Status
    differences: tuple[str, ...] = ()
    """Why it failed; of a `todo` or a skipped case, why it is one."""
    decision: Decision | None = None
    fired: frozenset[tuple[str, str]] = frozenset()
    """The rules that fired, by file and name."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which rules of some files fired in any case."""

    fired: Mapping[str, tuple[str, ...]]
    never: Mapping[str, tuple[str, ...]]

    @property
    def percent(self) -> float:
        """How many of all rules fired; of none, all did."""
        fired, never = sum(map(len, self.fired.values())), sum(map(len, self.never.values()))
        return 100 * fired / (fired + never) if fired + never else 100.0


def coverage(rules: Iterable[Rule], results: Iterable[Result]) -> Coverage:
    """Return which of the rules fired in some case, by file, in the order of the file."""
    reached = {one for result in results for one in result.fired}
    fired: dict[str, list[str]] = {}
    never: dict[str, list[str]] = {}
    for rule in sorted(rules, key=lambda rule: (rule.mark.file, rule.mark.line)):
        for found in (fired, never):
            found.setdefault(rule.mark.file, [])
        (fired if (rule.mark.file, rule.name) in reached else never)[rule.mark.file].append(rule.name)
    return Coverage(*({file: tuple(names) for file, names in found.items()} for found in (fired, never)))


class Trials:
    """Tries cases on one set of policies."""

    def __init__(self, policies: PolicySet, gateway: Gateway) -> None:
        self._policies = policies
        self._gateway = gateway
        self._consult: dict[Phase, Consult] = {}

    def run(self, trial: Trial) -> Result:
        """Try one case.  Whatever happens in it is its result."""
        began = time.perf_counter()
        if unseen := overlooked(self._policies.rules, trial.assumed):
            return Result(trial, "failed", tuple(unseen))
        try:
            result = self._example(trial, trial.expects) if isinstance(trial.expects, Example) else self._case(trial)
        except RequestError as error:
            code, message = error.refusal.code, error.refusal.message
            found = (
                [f"the gateway refuses this request: {code}: {message}"]
                if isinstance(trial.expects, Example)
                else [*trial.expects.differences_if_refused(code, message)]
            )
            result = Result(trial, "failed" if found else "passed", tuple(found))
        return replace(result, seconds=time.perf_counter() - began)

    def _case(self, trial: Trial) -> Result:
        assert not isinstance(trial.expects, Example)
        phase: Phase = "response" if trial.judges_answer else "request"
        facts = self._facts(trial, phase)
        policies = self._policies if trial.default is None else replace(self._policies, default=trial.default)
        met: list[Rule] = []
        consult = _noting(self._consulted(phase), met)
        decision = evaluate(policies, consult, facts, phase)
        differences: list[str] = []
        if trial.exceeded:
            over = [demand for demand in decision.demands if demand.by.rule in trial.exceeded]
            lacking = set(trial.exceeded) - {demand.by.rule for demand in over}
            differences += [f"no limit of `{name}` is asked of this call" for name in sorted(lacking)]
            met.clear()
            decision = evaluate(policies, consult, facts, phase, exceeded=dict.fromkeys(over, 1.0))
        differences += trial.expects.differences(decision)
        names = {(fired.policy, fired.rule) for fired in decision.fired}
        reached = frozenset((rule.mark.file, rule.name) for rule in met if (rule.policy, rule.name) in names)
        return Result(trial, "failed" if differences else "passed", tuple(differences), decision, reached)

    def _example(self, trial: Trial, example: Example) -> Result:
        rule = next((r for r in self._policies.rules if (r.mark.file, r.name) == (trial.mark.file, example.rule)), None)
        if rule is None:
            return Result(trial, "skipped", ("the rule is off",))
        found = Evaluation(self._facts(trial, rule.phase)).truth(rule.condition)
        reached = frozenset({(rule.mark.file, rule.name)} if found else ())
        if example.expects == "todo":
            why = "it is true of it already" if found else f"its condition is {_WORDS[found]}"
            return Result(trial, "todo", (why,), None, reached)
        wanted = example.expects == "match"
        if found is wanted:
            return Result(trial, "passed", (), None, reached)
        why = f"the condition of `{rule.name}` is {_WORDS[found]}, and shall be {_WORDS[wanted]}"
        return Result(trial, "failed", (why,), None, reached)

    def _facts(self, trial: Trial, phase: Phase) -> Facts:
        facts = assumed(self._gateway(trial.asked, phase), trial.assumed)
        return {root: functools.cache(ask) for root, ask in facts.items()}

    def _consulted(self, phase: Phase) -> Consult:
        if phase not in self._consult:
            self._consult[phase] = indexed(self._policies.in_phase(phase))
        return self._consult[phase]


def _noting(consult: Consult, met: list[Rule]) -> Consult:
    """Return a way to consult that also notes which rules were met."""

    def noted(evaluation: Evaluation, fire: Fire) -> None:
        def note(rule: Rule, truth: Truth) -> bool:
            met.append(rule)
            return fire(rule, truth)

        consult(evaluation, note)

    return noted
