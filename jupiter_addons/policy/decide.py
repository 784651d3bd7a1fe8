"""From rules and facts to a decision.

Rules are consulted in one order over all files: mandatory tier first, then priority (highest first), file path, position.
What changes, marks or tells accumulates; the first rule that fires an `allow` or `deny` ends it.  Two things differ from
the strict reading of the published specification, and `policies/README.md` says why: a rule without either does not end
evaluation, and a condition that cannot be evaluated counts as met if the rule refuses, limits or redacts.  A policy may ask
for the strict reading of its own rules (`combining: first-match`).

In the mandatory tier only a denial ends evaluation, so the order of files inside it never changes the verdict, and no
`allow` anywhere undoes a mandatory denial.  A mandatory `allow` is what holds if no later rule decides: it comes before the
default and after every denial.  The default is for requests; an answer that no rule denies may pass.

`rate_limit` and `budget` are demands: nothing is counted here.  Who counts, and finds that one cannot be met, has the same
facts evaluated again with that demand exceeded, and the rule that made it is then a denial.

A rule in shadow mode is consulted where it stands, is reported as fired, and does nothing else; one that stands behind the
rule that ended evaluation is not consulted, as it would not be if it were enforced.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal, assert_never

from jupiter_addons.errors import JupiterError
from jupiter_addons.policy.effects import (
    Addition,
    AlertLine,
    By,
    Demand,
    Effect,
    LogLine,
    Redaction,
    Routing,
    Setting,
)
from jupiter_addons.policy.facts import SURPRISE
from jupiter_addons.policy.interpret import Consult, Evaluation, Facts, Truth
from jupiter_addons.policy.nodes import Field, Literally
from jupiter_addons.policy.parameters import is_amount
from jupiter_addons.policy.printing import MAX_TEXT_CHARS, plain, printed, rendered
from jupiter_addons.policy.rules import (
    PROTECTING,
    Action,
    Alert,
    Allow,
    Deny,
    Extend,
    Log,
    Modify,
    PolicySet,
    Quota,
    Redact,
    Route,
    Rule,
    Score,
    Tag,
    Template,
    Term,
    Threshold,
    Tier,
)
from jupiter_addons.policy.vocabulary import Phase
from jupiter_addons.units import NANO_PER_USD, span

Verdict = Literal["allow", "deny"]

DEFAULT_MESSAGE = "no policy allows this request"
QUOTA_CODES = {"requests": "rate_limited", "tokens": "budget_exceeded", "cost": "budget_exceeded"}
QUOTA_STATUS = 429


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule whose condition was met."""

    policy: str
    rule: str
    verdict: Literal["allow", "deny", "note"]
    mode: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policies say of one request or answer."""

    verdict: Verdict
    policy: str | None
    rule: str | None
    """The rule that decided; None if none did and the default holds."""
    code: str | None
    status: int | None
    message: str | None
    """What the client of a denied call is told; of an allowed one, what the rule noted."""
    tags: tuple[tuple[str, str], ...]
    logs: tuple[LogLine, ...]
    fired: tuple[Fired, ...]
    """Every rule that fired, those in shadow mode included."""
    errors: tuple[str, ...]
    """Rules whose condition, or whose limit, could not be evaluated."""
    digest: str
    """The digest of the policy set."""
    faults: tuple[str, ...] = ()
    """What could not be worked out, and why; for the log, and without a word of what was looked at."""
    id: str = ""
    """The call that was decided on."""
    phase: Phase = "request"
    tier: Tier | None = None
    """Of the rule that decided."""
    effects: tuple[Effect, ...] = ()
    """In the order of the rules."""
    demands: tuple[Demand, ...] = ()
    score: int = 0
    retry_after_s: float | None = None
    """When a call that a demand refused would be admitted."""

    @property
    def mode(self) -> Literal["enforce"]:
        """A decision is always one that holds; what rules in trial would have said is in `shadow`."""
        return "enforce"

    @property
    def shadow(self) -> tuple[Fired, ...]:
        """What rules in shadow mode would have said."""
        return tuple(fired for fired in self.fired if fired.mode == "shadow")

    @property
    def over_limit(self) -> bool:
        """Whether it was a demand that refused the call: the same call may be admitted later."""
        return self.status == QUOTA_STATUS and self.code in QUOTA_CODES.values()


def evaluate(
    policies: PolicySet,
    consult: Consult,
    facts: Facts,
    phase: Phase,
    *,
    call_id: str = "",
    exceeded: Mapping[Demand, float] | None = None,
) -> Decision:
    """Decide by what `consult` goes through: the rules of `phase` in `policies`.

    `exceeded` holds the demands that cannot be met, and in how many seconds they could.  Pure, and total over facts that
    are JSON: it has an answer for every value.  What a callable of `facts` raises is raised.
    """
    run = _Run(Evaluation(facts), exceeded or {})
    consult(run.evaluation, run.meet)
    if run.denial is None and run.allowed_by is None and policies.default == "deny" and phase == "request":
        run.denial = _Denial(None, DEFAULT_MESSAGE, "policy_denied", 403)
    return run.decision(policies.digest, phase, call_id)


@dataclass(frozen=True, slots=True)
class _Denial:
    """A denial, and the rule that made it."""

    rule: Rule | None
    message: str
    code: str
    status: int
    retry_after_s: float | None = None


@dataclass(slots=True)
class _Run:
    """One evaluation: what has come together so far."""

    evaluation: Evaluation
    exceeded: Mapping[Demand, float]
    denial: _Denial | None = None
    allowed_by: Rule | None = None
    allowed_message: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    logs: list[LogLine] = field(default_factory=list)
    fired: list[Fired] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    score: int = 0
    thresholds: list[tuple[Rule, Threshold]] = field(default_factory=list)
    matched: set[tuple[str, str]] = field(default_factory=set)
    """The first-match policies, by file and name, of which a rule has been met."""

    def meet(self, rule: Rule, met: Truth) -> bool:
        """Take a rule whose condition is met, or unknown; return whether it ends the evaluation."""
        source = (rule.mark.file, rule.policy)
        if source in self.matched:
            return False
        if met is None:
            self.errors.append(f"{rule.policy}/{rule.name}")
            if not rule.denies:
                return False
        self.fired.append(_fired(rule))
        if rule.mode == "shadow":
            return False
        if rule.combining == "first-match" and met:  # one that may not have matched takes no turn from a stricter one
            self.matched.add(source)
        ends = False
        for action in rule.actions:
            if met is None and not isinstance(action, PROTECTING):
                continue
            if isinstance(action, Allow):
                ends = ends or rule.tier == "normal"
                if self.allowed_by is None or ends:  # a mandatory `allow` holds only if nothing after it decides
                    self.allowed_by, self.allowed_message = rule, self._text(action.message) or None
            else:
                self._act(rule, action)
        if self.denial is None:
            self._pass_threshold()
        return ends or self.denial is not None

    def _act(self, rule: Rule, action: Action) -> None:
        match action:
            case Deny():
                self._deny(_Denial(rule, self._text(action.message), action.code, action.status))
            case Log():
                shown = tuple((f.text, self._text((f,))) for f in action.fields)
                self.logs.append(LogLine(By.of(rule), action.level, self._text(action.message), shown))
            case Tag():
                self.tags[action.key] = self._text(action.value)
            case Quota():
                self._demand(rule, action)
            case Score():
                self.score += action.points
            case Threshold():
                self.thresholds.append((rule, action))
            case Modify() if self._is_unknown(action.value):  # null would take the field away, and a cap with it
                self.errors.append(f"{rule.policy}/{rule.name}")
                self._deny(_Denial(rule, "what this call is changed to cannot be worked out", "policy_denied", 403))
            case Redact() | Modify() | Extend() | Route() | Alert():
                self.effects.append(self._effect(By.of(rule), action))
            case Allow():
                raise AssertionError("an `allow` is not carried out")
            case _:
                assert_never(action)

    def _deny(self, denial: _Denial) -> None:
        self.denial = self.denial or denial

    def _pass_threshold(self) -> None:
        """Deny if the score has come to what a rule does not let pass.  In whichever order they were met: it only grows."""
        for rule, threshold in self.thresholds:
            if self.score >= threshold.at_least:
                self._deny(_Denial(rule, self._text(threshold.message), threshold.code, threshold.status))

    def _demand(self, rule: Rule, quota: Quota) -> None:
        limit = self._value(quota.limit)
        code = QUOTA_CODES[quota.unit]
        if not is_amount(limit, whole=quota.unit != "cost"):  # a limit that is no number cannot be kept to
            self.errors.append(f"{rule.policy}/{rule.name}")
            self._deny(_Denial(rule, "a limit on this call cannot be worked out", code, QUOTA_STATUS))
            return
        most = int(Decimal(str(limit)) * NANO_PER_USD) if quota.unit == "cost" else int(limit)
        demand = Demand(By.of(rule), quota.unit, self._text(quota.key), most, quota.window_s)
        if demand in self.exceeded:
            message = self._text(quota.message) or _over(quota, limit)
            self._deny(_Denial(rule, message, code, QUOTA_STATUS, self.exceeded[demand]))
        self.demands.append(demand)

    def _effect(self, by: By, action: Redact | Modify | Extend | Route | Alert) -> Effect:
        match action:
            case Redact():
                replacement = None if action.replacement is None else self._text(action.replacement)
                return Redaction(
                    by, action.fields, action.method, replacement, action.pattern, action.kinds, action.reversible
                )
            case Modify():
                return Setting(by, action.field, self._value(action.value))
            case Extend():
                return Addition(by, action.where == "prepend", self._long_text(action.text))
            case Route():
                provider, model = self._text(action.provider), self._text(action.model)
                return Routing(by, provider or None, model or None, action.fallback, self._text(action.reason))
            case Alert():
                return AlertLine(by, self._text(action.message), action.webhook, action.severity)

    def decision(self, digest: str, phase: Phase, call_id: str) -> Decision:
        denial = self.denial
        rule = denial.rule if denial else self.allowed_by
        return Decision(
            verdict="deny" if denial else "allow",
            policy=rule.policy if rule else None,
            rule=rule.name if rule else None,
            code=denial.code if denial else None,
            status=denial.status if denial else None,
            message=denial.message if denial else self.allowed_message,
            tags=tuple(self.tags.items()),
            logs=tuple(self.logs),
            fired=tuple(self._as_decided(fired) for fired in self.fired),
            errors=tuple(self.errors),
            faults=tuple(f"{name}: {_why(fault)}" for name, fault in self.evaluation.faults.items()),
            digest=digest,
            id=call_id,
            phase=phase,
            tier=rule.tier if rule else None,
            effects=tuple(self.effects),
            demands=tuple(self.demands),
            score=self.score,
            retry_after_s=denial.retry_after_s if denial else None,
        )

    def _as_decided(self, fired: Fired) -> Fired:
        """A demand or a threshold makes a denial of a rule that had none when it fired."""
        denial, rule = self.denial, self.denial.rule if self.denial else None
        if (
            denial is None
            or rule is None
            or (fired.policy, fired.rule, fired.mode) != (rule.policy, rule.name, rule.mode)
        ):
            return fired
        return replace(fired, verdict="deny", code=denial.code)

    def _text(self, template: Template) -> str:
        return rendered(template, self.evaluation.value, MAX_TEXT_CHARS)

    def _long_text(self, template: Template) -> str:
        """Print text that becomes part of the prompt: the values in it are not cut."""
        return "".join(part if isinstance(part, str) else printed(self.evaluation.value(part)) for part in template)

    def _is_unknown(self, term: Term) -> bool:
        """Whether a value needs what failed or is not there to be asked."""
        return not isinstance(term, Literally) and any(
            isinstance(part, Field) and self.evaluation.value(part) is SURPRISE for part in term
        )

    def _value(self, term: Term) -> Any:
        """Return a value: of a template that is one field, that field's; of any other, its text."""
        if isinstance(term, Literally):
            return term.value
        if len(term) == 1 and isinstance(term[0], Field):
            return plain(self.evaluation.value(term[0]))
        return self._long_text(term)


def _fired(rule: Rule) -> Fired:
    verdict: Literal["allow", "deny", "note"] = "note"
    code = None
    for action in rule.actions:
        if isinstance(action, Deny):
            verdict, code = "deny", action.code
        elif isinstance(action, Allow):
            verdict = "allow"
    return Fired(rule.policy, rule.name, verdict, rule.mode, code)


def _over(quota: Quota, limit: float) -> str:
    amount = f"${limit:g}" if quota.unit == "cost" else f"{math.floor(limit)} {quota.unit}"
    return f"the limit of {amount} per {span(quota.window_s)} is reached"


def _why(fault: Exception) -> str:
    """Say why something could not be worked out; what others raise may quote what they were looking at."""
    return str(fault) if isinstance(fault, JupiterError) else type(fault).__name__
