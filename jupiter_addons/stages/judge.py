"""Asking the policies about an exchange, and what their denial means for its client: decide, reserve and screen do it alike."""

from collections.abc import Mapping

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.decide import Decision, evaluate
from jupiter_addons.policy.effects import Demand
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.rules import PolicySet
from jupiter_addons.policy.vocabulary import Phase
from jupiter_addons.stages.facts import Usage, facts

UNAVAILABLE = Refusal("policy_unavailable", "a policy cannot be applied to this request", retry_after_s=1)
"""What a client is told when a rule cannot be carried out; which one is for the log."""


class Judge:
    """The rules of one phase."""

    def __init__(self, policies: PolicySet, phase: Phase, *, environment: str, usage: Usage) -> None:
        rules = policies.in_phase(phase)
        self.has_rules = bool(rules)
        self._policies = policies
        self._phase: Phase = phase
        self._consult = indexed(rules)
        self._environment = environment
        self._usage = usage

    def __call__(self, x: Exchange, exceeded: Mapping[Demand, float] | None = None) -> Decision:
        """Return what the rules say; `exceeded` are the demands that cannot be met, and in how many seconds they could."""
        return evaluate(
            self._policies,
            self._consult,
            facts(x, self._environment, self._usage),
            self._phase,
            call_id=x.call_id,
            exceeded=exceeded,
        )


def denial(decision: Decision) -> Refusal:
    """Return what the client of a denied request is told: the author's message, under the rule's code and status."""
    code, message = decision.code or "policy_denied", decision.message or ""
    if decision.over_limit:
        return Refusal(code, message, retry_after_s=decision.retry_after_s)
    return Refusal(code, message, status=decision.status, by_rule=True)
