"""From rules and facts to a decision.

Rules are consulted in one order over all files: mandatory tier first, then priority (highest first), file path, position.
Logs and tags accumulate; the first rule that fires an `allow` or `deny` ends it.  Two things differ from the strict reading
of the published specification, and `policies/README.md` says why: a rule with only logs or tags does not end evaluation,
and a condition that cannot be evaluated counts as met if the rule denies.

In the mandatory tier only a denial ends evaluation, so the order of files inside it never changes the verdict, and no
`allow` anywhere undoes a mandatory denial.  A mandatory `allow` is what holds if no later rule decides: it comes before the
default and after every denial.  The default is for requests; an answer that no rule denies may pass.

A rule in shadow mode is consulted where it stands, is reported as fired, and does nothing else; one that stands behind the
rule that ended evaluation is not consulted, as it would not be if it were enforced.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from jupiter_addons.policy.interpret import Consult, Evaluation, Facts, Truth
from jupiter_addons.policy.nodes import Field
from jupiter_addons.policy.rules import Allow, Deny, Log, PolicySet, Rule, Tag, Template
from jupiter_addons.policy.vocabulary import Phase

Verdict = Literal["allow", "deny"]

DEFAULT_MESSAGE = "no policy allows this request"
MAX_TEXT_CHARS = 200
"""How much of a field's value a message or tag shows."""


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


def evaluate(policies: PolicySet, consult: Consult, facts: Facts, phase: Phase) -> Decision:
    """Decide by what `consult` goes through: the rules of `phase` in `policies`.

    Pure, and total over facts that are JSON: it has an answer for every value.  What a callable of `facts` raises is raised.
    """
    run = _Run(Evaluation(facts))
    consult(run.evaluation, run.meet)
    if isinstance(run.terminal, Deny):
        return run.decision(policies.digest, "deny", run.decided_by, run.terminal)
    if run.decided_by is not None or policies.default == "allow" or phase == "response":
        return run.decision(policies.digest, "allow", run.decided_by, None)
    return run.decision(policies.digest, "deny", None, None)


class _Run:
    def __init__(self, evaluation: Evaluation) -> None:
        self.evaluation = evaluation
        self.decided_by: Rule | None = None
        self.terminal: Deny | Allow | None = None
        self._tags: dict[str, str] = {}
        self._logs: list[LogLine] = []
        self._fired: list[Fired] = []
        self._errors: list[str] = []

    def meet(self, rule: Rule, met: Truth) -> bool:
        """Take a rule whose condition is met, or unknown; return whether it ends the evaluation."""
        terminal = self._fire(rule, met)
        ends = isinstance(terminal, Deny) or (terminal is not None and rule.tier == "normal")
        if ends or (terminal is not None and self.decided_by is None):
            # A mandatory `allow` holds only if nothing after it decides: the first of them, unless something does.
            self.decided_by, self.terminal = rule, terminal
        return ends

    def _fire(self, rule: Rule, met: Truth) -> Deny | Allow | None:
        """Do what a rule says whose condition is met, or unknown; return its terminal action if that is to be acted on."""
        if met is None:
            self._errors.append(f"{rule.policy}/{rule.name}")
            if not rule.denies:
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
        """Print a value for a message or tag: one line, bounded, nothing that a terminal would act on."""
        text = _printed(self.evaluation.value(field))[: 4 * MAX_TEXT_CHARS]
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return line if len(line) <= MAX_TEXT_CHARS else line[: MAX_TEXT_CHARS - 1] + "…"


def _printed(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_printed, value[:MAX_TEXT_CHARS]))
    return json.dumps(value, default=str, ensure_ascii=False)
