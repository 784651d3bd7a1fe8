"""What it may take: one all-or-nothing step over every limit that applies, configured or demanded by a rule.

If a rule's demand cannot be met, the rules are asked again with that demand exceeded: it is they who say what that means.
"""

import time
from collections.abc import Callable, Sequence

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.demand import Amounts, Limit
from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.policy.effects import Demand
from jupiter_addons.stages.facts import usage_of
from jupiter_addons.stages.judge import UNAVAILABLE, Judge, denial
from jupiter_addons.stages.stage import stage

ROUNDS = 3
"""So often the rules are asked; a set that then still demands what cannot be met has no answer."""


class Reserve:
    """Principal + model + demands -> reservation, or 429."""

    def __init__(
        self, ledger: Ledger, limits_for: Callable[[str, str | None, str], Sequence[Limit]], judge: Judge
    ) -> None:
        self._ledger = ledger
        self._limits_for = limits_for
        self._judge = judge

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Reserve, or refuse naming the limit and when to come back."""
        profile = x.outgoing.profile
        amounts = Amounts(profile.input_tokens_upper + profile.output_tokens_max, profile.hold_nusd)
        configured = self._limits_for(x.principal.user, x.principal.team, x.outgoing.model)
        effects, exceeded = x.decision.effects, dict[Demand, float]()
        for _ in range(ROUNDS):
            demanded = {_limit(demand): demand for demand in x.decision.demands}
            outcome = self._ledger.reserve(
                x.call_id,
                [*configured, *demanded],
                time.monotonic_ns(),
                amounts,
                usage_of=usage_of(x),
            )
            if isinstance(outcome, Reservation):
                x.reservation = outcome
                return
            if outcome.limit not in demanded:
                x.refuse(_over(outcome))
                return
            exceeded |= {demanded[limit]: wait_s for limit, wait_s in outcome.every.items() if limit in demanded}
            x.decide(await self._judge.beside(x, x.plain_bytes, exceeded))
            if x.decision.verdict == "deny":
                x.refuse(denial(x.decision))
                return
            if x.decision.effects != effects:
                break  # the call that was amended and routed is not the one that is decided on now
        x.refuse(UNAVAILABLE)


def _limit(demand: Demand) -> Limit:
    rule = f"rule:{demand.by}"
    return Limit(f"{rule}:{demand.key}", demand.unit, demand.limit, demand.window_s, crowd=rule)


def _over(exceeded: Exceeded) -> Refusal:
    limit = exceeded.limit
    message = f"the limit of {limit.amount} {limit.kind} per {limit.window_s:g} s is reached"
    return Refusal("rate_limited", message, retry_after_s=exceeded.retry_after_s)
