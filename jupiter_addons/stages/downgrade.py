"""A lesser model in place of one that a limit has no more for: the rules are asked about the call as it would be then.

Only looked at here, and taken by `reserve`: if somebody was faster, the call is refused after all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mitmproxy import http

from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.describe import Profile, describe
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.errors import StoreError
from jupiter_addons.exchange import Exchange
from jupiter_addons.identity.principals import Principal
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.limit import Limit
from jupiter_addons.policy.effects import By, Routing, routing
from jupiter_addons.stages.facts import Seen
from jupiter_addons.stages.judge import NO_COUNTERS, Judge, denial
from jupiter_addons.stages.meter import held_at_first
from jupiter_addons.stages.stage import stage


class Downgrade:
    """Limits that are spent + a map of models -> another model."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        models: Mapping[str, str],
        limits_for: Callable[[Principal, str], Sequence[Limit]],
        price_for: Callable[[Call], Price | None],
        default_max_output_tokens: int,
        judge: Judge,
    ) -> None:
        """`models` maps each model to the one that is asked instead."""
        self._ledger = ledger
        self._models = models
        self._limits_for = limits_for
        self._price_for = price_for
        self._default_max_output_tokens = default_max_output_tokens
        self._judge = judge

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Route the call to a lesser model if a limit wants that, unless a rule denies it there."""
        if not self._models:
            return
        routed = routing(x.decision.effects)
        wanted = model = routed.model if routed is not None and routed.model is not None else x.call.model
        spent: Limit | None = None
        try:
            while (limit := await self._spent(x, model)) is not None:
                if model not in self._models:
                    return
                spent, model = limit, self._models[model]
        except StoreError:
            x.refuse(NO_COUNTERS)
            return
        if spent is None:
            return
        by = By("limits", spent.name, mandatory=True)
        lesser = Routing(by, None, model, reason=f"{wanted} is beyond {spent.name}")
        call, profile = self._seen(x, model)
        decision = await self._judge.beside(x, x.plain_bytes, seen=Seen(call, profile, x.findings))
        x.decide(replace(decision, effects=(lesser, *decision.effects)))
        if decision.verdict == "deny":
            x.refuse(denial(decision))

    def _seen(self, x: Exchange, model: str) -> tuple[Call, Profile]:
        call = replace(x.call, model=model)
        return call, describe(call, self._price_for(call), x.plain_bytes, self._default_max_output_tokens)

    async def _spent(self, x: Exchange, model: str) -> Limit | None:
        """Return a limit that wants another model, because it has no more for this one."""
        limits = [limit for limit in self._limits_for(x.principal, model) if limit.terms.enforcement == "downgrade"]
        if not limits:
            return None
        call, profile = self._seen(x, model)
        amounts = held_at_first(self._ledger, profile, call, self._price_for(call))
        return await self._ledger.lacking(limits, amounts)
