"""What it may take: one all-or-nothing step over every limit that applies, configured or demanded by a rule.

If a rule's demand cannot be met, the rules are asked again with that demand exceeded: it is they who say what that means.
"""

from collections.abc import Callable, Sequence

from mitmproxy import http

from jupiter_addons.errors import Refusal, StoreError
from jupiter_addons.exchange import Exchange
from jupiter_addons.identity.principals import Principal
from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Kind, Limit, Terms, Unit
from jupiter_addons.limits.store import Counter
from jupiter_addons.policy.effects import Demand
from jupiter_addons.stages.facts import usage_of
from jupiter_addons.stages.judge import UNAVAILABLE, Judge, denial
from jupiter_addons.stages.stage import stage
from jupiter_addons.units import NanoUsd, usd

ROUNDS = 3
"""So often the rules are asked; a set that then still demands what cannot be met has no answer."""

NO_COUNTERS = Refusal("store_unavailable", "what was used so far cannot be told", retry_after_s=1)

_UNITS: dict[str, Unit] = {"requests": "requests", "tokens": "tokens", "cost": "nusd"}
"""The unit of a rule's demand -> ours."""
_CODES: dict[Unit, str] = {
    "requests": "rate_limited",
    "tokens": "tokens_limited",
    "input_tokens": "tokens_limited",
    "output_tokens": "tokens_limited",
    "nusd": "budget_exceeded",
    "calls": "concurrency_limited",
}


class Reserve:
    """Principal + model + demands -> reservation, or 429."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        limits_for: Callable[[Principal, str], Sequence[Limit]],
        limits_at: Callable[[str], Sequence[Limit]],
        counters_for: Callable[[str, str], Sequence[Counter]],
        judge: Judge,
    ) -> None:
        """`limits_for` takes a principal and a model, `limits_at` a provider; `counters_for` a user and a model, whose calls
        rules read."""
        self._ledger = ledger
        self._limits_for = limits_for
        self._limits_at = limits_at
        self._counters_for = counters_for
        self._judge = judge

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Reserve, or refuse naming the limit and when to come back."""
        profile = x.outgoing.profile
        amounts = Amounts(profile.input_tokens_upper, profile.output_tokens_max, profile.hold_nusd)
        configured = [
            *self._limits_for(x.principal, x.outgoing.model),
            *self._limits_at(x.route.candidates[0].provider.name),
        ]
        counters = self._counters_for(*usage_of(x))
        effects, exceeded = x.decision.effects, dict[Demand, float]()
        for _ in range(ROUNDS):
            demanded = {_limit(demand): demand for demand in x.decision.demands}
            try:
                outcome = await self._ledger.reserve(x.call_id, [*configured, *demanded], amounts, counters=counters)
            except StoreError:
                x.refuse(NO_COUNTERS)
                return
            if isinstance(outcome, Reservation):
                x.reservation = outcome
                return
            x.exceeded = outcome
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
    return Limit(
        f"{rule}:{demand.key}",
        "rule",
        Kind(_UNITS[demand.unit], demand.window_s),
        Terms(demand.limit),
        crowd=rule,
    )


def _over(exceeded: Exceeded) -> Refusal:
    limit = exceeded.limit
    unit, most = limit.kind.unit, limit.terms.amount
    amount = f"${usd(NanoUsd(most)).rstrip('0').rstrip('.')}" if unit == "nusd" else f"{most} {unit.replace('_', ' ')}"
    message = f"the limit of {amount} per {limit.window} is reached"
    if limit.kind.unit == "calls":
        message = f"the limit of {most} calls at once is reached"
    if exceeded.retry_after_s == float("inf"):
        message += ", and this call alone is more than is left of it"
    return Refusal(_CODES[unit], message, retry_after_s=exceeded.retry_after_s)
