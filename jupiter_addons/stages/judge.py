"""Asking the policies about an exchange, and what their denial means for its client: decide, reserve and screen do it alike."""

import asyncio
import functools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NoReturn

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.store import come
from jupiter_addons.policy.again import Consulted, consulted
from jupiter_addons.policy.decide import Decision, evaluate
from jupiter_addons.policy.effects import Demand
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.rules import PolicySet
from jupiter_addons.policy.vocabulary import Phase
from jupiter_addons.stages.facts import Seen, Surroundings, facts, usage_of

UNAVAILABLE = Refusal("policy_unavailable", "a policy cannot be applied to this request", retry_after_s=1)
"""What a client is told when a rule cannot be carried out; which one is for the log."""

NO_COUNTERS = Refusal("store_unavailable", "what was used so far cannot be told", retry_after_s=1)
"""What a client is told when counters cannot be reached."""

AT_ONCE_BYTES = 32 * 1024
"""How much text is looked through on the event loop: some three milliseconds of it."""
_READER = ThreadPoolExecutor(1, "judge")


class Judge:
    """The rules of one phase."""

    def __init__(self, policies: PolicySet, phase: Phase, around: Surroundings) -> None:
        rules = self._rules = policies.in_phase(phase)
        self.has_rules = bool(rules)
        self._policies = policies
        self._phase: Phase = phase
        self._consult = indexed(rules)
        self._around = around

    async def beside(
        self,
        x: Exchange,
        text_bytes: int,
        exceeded: Mapping[Demand, float] | None = None,
        seen: Seen | None = None,
    ) -> Decision:
        """Return what the rules say of so much text; a lot of it is looked through where nobody else has to wait for it.

        `exceeded` are the demands that cannot be met, and in how many seconds they could.
        """
        whole_bytes = len(x.answered) if x.filled("answered") else 0  # read again, for what is no text of the dialect's
        if max(text_bytes, whole_bytes) <= AT_ONCE_BYTES:
            around = await self._counted(x) if self._around.usage_waits else self._around
            return self._evaluate(x, around, exceeded, seen)
        around = await self._counted(x)  # here, because the counters belong to the event loop
        return await asyncio.get_running_loop().run_in_executor(_READER, self._evaluate, x, around, exceeded, seen)

    async def _counted(self, x: Exchange) -> Surroundings:
        """Return the surroundings with what counters hold in them, or what keeps it from being known."""
        try:
            taken = await come(self._around.usage(*usage_of(x)))
        except Exception as error:  # noqa: BLE001 - what it means is for the rules that read it, and for no others
            return replace(self._around, usage=functools.partial(_unknown, error))
        return replace(self._around, usage=lambda _user, _model: taken)

    def turns(self, decision: Decision) -> Consulted:
        """Return which rules had their turn before a decision was reached."""
        return consulted(self._rules, decision)

    def _evaluate(
        self,
        x: Exchange,
        around: Surroundings,
        exceeded: Mapping[Demand, float] | None = None,
        seen: Seen | None = None,
    ) -> Decision:
        known = facts(x, around, self._phase, seen)
        return evaluate(self._policies, self._consult, known, self._phase, call_id=x.call_id, exceeded=exceeded)


def _unknown(error: Exception, _user: str, _model: str) -> NoReturn:
    raise error


def denial(decision: Decision) -> Refusal:
    """Return what the client of a denied request is told: the author's message, under the rule's code and status."""
    code, message = decision.code or "policy_denied", decision.message or ""
    if decision.over_limit:
        return Refusal(code, message, retry_after_s=decision.retry_after_s)
    return Refusal(code, message, status=decision.status, by_rule=True)
