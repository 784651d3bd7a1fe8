"""From rules and facts to a decision.

Rules are consulted in one order over all files: mandatory tier first, then priority (highest first), file path, position.
Logs and tags accumulate; the first rule that fires an `allow` or `deny` ends it.  Two things differ from the strict reading
of the published specification, and `policies/README.md` says why: a rule with only logs or tags does not end evaluation,
and a condition that cannot be evaluated counts as met if the rule denies.

In the mandatory tier only a denial ends evaluation: an `allow` there cannot undo another mandatory rule, nor can any rule
elsewhere, so the order of files inside the tier never changes the verdict.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from jupiter_addons.policy.interpret import Evaluation, Facts
from jupiter_addons.policy.nodes import Allow, Deny, Field, Log, PolicySet, Rule, Tag, Template
from jupiter_addons.policy.vocabulary import Phase

Verdict = Literal["allow", "deny"]

DEFAULT_MESSAGE = "no policy allows this request"


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule whose condition was met."""

    policy: str
    rule: str
    verdict: Literal["allow", "deny", "note"]
    mode: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line a rule wants logged."""

    level: str
    message: str


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
    tags: tuple[tuple[str, str], ...]
    logs: tuple[LogLine, ...]
    fired: tuple[Fired, ...]
    """Every rule that fired, those in shadow mode included."""
    errors: tuple[str, ...]
    """Rules whose condition could not be evaluated."""
    digest: str
    """The digest of the policy set."""


def evaluate(policies: PolicySet, rules: Iterable[Rule], facts: Facts, phase: Phase) -> Decision:
    """Decide by `rules`, which are those of `phase` in `policies`.  Pure, and total: it has an answer for every input."""
    run = _Run(Evaluation(facts))
    ended: tuple[Rule, Deny | Allow] | None = None
    for rule in rules:
        terminal = run.consult(rule)
        if terminal is not None and (isinstance(terminal, Deny) or rule.tier != "mandatory"):
            ended = rule, terminal
            break
    if ended is None and (policies.default == "allow" or phase == "response"):
        return run.decision(policies.digest, "allow", None, None)
    if ended is None:
        return run.decision(policies.digest, "deny", None, None)
    rule, terminal = ended
    if isinstance(terminal, Deny):
        return run.decision(policies.digest, "deny", rule, terminal)
    return run.decision(policies.digest, "allow", rule, None)


class _Run:
    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._tags: dict[str, str] = {}
        self._logs: list[LogLine] = []
        self._fired: list[Fired] = []
        self._errors: list[str] = []

    def consult(self, rule: Rule) -> Deny | Allow | None:
        """Evaluate a rule; return its terminal action if it fired one."""
        met = self._evaluation.truth(rule.condition)
        if met is None:
            self._errors.append(f"{rule.policy}/{rule.name}")
            met = rule.denies
        if not met:
            return None
        terminal = next((action for action in rule.actions if isinstance(action, (Deny, Allow))), None)
        code = terminal.code if isinstance(terminal, Deny) else None
        verdict: Literal["allow", "deny", "note"] = (
            "deny" if isinstance(terminal, Deny) else "allow" if terminal is not None else "note"
        )
        self._fired.append(Fired(rule.policy, rule.name, verdict, rule.mode, code))
        if rule.mode == "shadow":
            return None
        for action in rule.actions:
            if isinstance(action, Tag):
                self._tags[action.key] = self._render(action.value)
            elif isinstance(action, Log):
                self._logs.append(LogLine(action.level, self._render(action.message)))
        return terminal

    def decision(self, digest: str, verdict: Verdict, rule: Rule | None, deny: Deny | None) -> Decision:
        denied = verdict == "deny"
        return Decision(
            verdict=verdict,
            policy=rule.policy if rule else None,
            rule=rule.name if rule else None,
            code=(deny.code if deny else "policy_denied") if denied else None,
            status=(deny.status if deny else 403) if denied else None,
            message=(self._render(deny.message) if deny else DEFAULT_MESSAGE) if denied else None,
            tags=tuple(self._tags.items()),
            logs=tuple(self._logs),
            fired=tuple(self._fired),
            errors=tuple(self._errors),
            digest=digest,
        )

    def _render(self, template: Template) -> str:
        return "".join(part if isinstance(part, str) else self._text(part) for part in template)

    def _text(self, field: Field) -> str:
        value = self._evaluation.value(field)
        if isinstance(value, bool):
            return "true" if value else "false"
        text = "" if value is None else str(value)
        return " ".join(text.split())[:200]
