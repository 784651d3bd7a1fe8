"""What it may take: one all-or-nothing step over every limit that applies, configured or demanded by a rule.

If a rule's demand cannot be met, the rules are asked again with that demand exceeded: it is they who say what that means.
"""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from mitmproxy import http
from mitmproxy.connection import ConnectionState

from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.fees import unpriced
from jupiter_addons.enrichment.prices import Price, dearest
from jupiter_addons.errors import Refusal, StoreError
from jupiter_addons.exchange import Exchange
from jupiter_addons.identity.principals import Principal
from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Amounts, Kind, Limit, Terms, Unit
from jupiter_addons.limits.store import MAX_AMOUNT, Counter
from jupiter_addons.policy.effects import Demand
from jupiter_addons.routing.plan import Candidate
from jupiter_addons.stages.facts import usage_of
from jupiter_addons.stages.judge import NO_COUNTERS, UNAVAILABLE, Judge, denial
from jupiter_addons.stages.meter import held_at_first
from jupiter_addons.stages.stage import stage
from jupiter_addons.stages.waiting import Lines, TimedOut

ROUNDS = 3
"""So often the rules are asked; a set that then still demands what cannot be met has no answer."""

_TIMED_OUT = Refusal(
    "queue_timeout", "the limit that this call would wait for is not free in time, or too many calls wait for it"
)

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
        price_at: Callable[[Candidate, Call], Price | None],
        judge: Judge,
        lines: Lines,
    ) -> None:
        """`limits_for` takes a principal and a model, `limits_at` a provider; `counters_for` a user and a model, whose calls
        rules read."""
        self._ledger = ledger
        self._limits_for = limits_for
        self._limits_at = limits_at
        self._counters_for = counters_for
        self._price_at = price_at
        self._judge = judge
        self._lines = lines

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Reserve, or refuse naming the limit and when to come back."""
        amounts = self._amounts(x)
        configured = [
            *self._limits_for(x.principal, x.outgoing.model),
            *self._limits_at(x.route.candidates[0].provider.name),
        ]
        counters = self._counters_for(*usage_of(x))
        effects, exceeded, since_s = x.decision.effects, dict[Demand, float](), time.monotonic()
        for _ in range(ROUNDS):
            demanded = {_limit(demand): demand for demand in x.decision.demands}
            limits = [*configured, *demanded]
            if (refusal := _unpriced(x, limits)) is not None:
                x.refuse(refusal)
                return
            try:
                outcome = await self._take(flow, x, limits, amounts, counters, since_s)
            except StoreError:
                x.refuse(NO_COUNTERS)
                return
            except TimedOut as over:
                x.refuse(replace(_TIMED_OUT, retry_after_s=over.retry_after_s))
                return
            if isinstance(outcome, Reservation):
                x.reservation = outcome
                return
            x.exceeded = outcome
            if outcome.limit not in demanded:
                x.refuse(_over(outcome, amounts))
                return
            exceeded |= {demanded[limit]: wait_s for limit, wait_s in outcome.every.items() if limit in demanded}
            x.decide(await self._judge.beside(x, x.plain_bytes, exceeded))
            if x.decision.verdict == "deny":
                x.refuse(denial(x.decision))
                return
            if x.decision.effects != effects:
                break  # the call that was amended and routed is not the one that is decided on now
        x.refuse(UNAVAILABLE)

    async def _take(
        self,
        flow: http.HTTPFlow,
        x: Exchange,
        limits: Sequence[Limit],
        amounts: Amounts,
        counters: Sequence[Counter],
        since_s: float,
    ) -> Reservation | Exceeded:
        """Take a call's amounts; wait for that where a call may wait.  Raises StoreError and TimedOut."""

        def attempt() -> Awaitable[Reservation | Exceeded]:
            return self._ledger.reserve(x.call_id, limits, amounts, counters=counters)

        def is_gone() -> bool:
            return not flow.client_conn.state & ConnectionState.CAN_READ

        before = self._lines.of(limits)
        if before is not None:
            return await self._lines.wait(before, x.principal.user, None, attempt, since_s=since_s, is_gone=is_gone)
        outcome = await attempt()
        if isinstance(outcome, Reservation) or not self._lines.may_wait(outcome):
            return outcome
        return await self._lines.wait(
            outcome.limit, x.principal.user, outcome, attempt, since_s=since_s, is_gone=is_gone
        )

    def _amounts(self, x: Exchange) -> Amounts:
        """Return what a call may come to at the dearest of its candidates."""
        call = x.outgoing.call
        asked = {candidate.pair: candidate for candidate in x.route.candidates}
        price = x.hold_price = dearest([x.outgoing.price, *(self._price_at(one, call) for one in asked.values())])
        return held_at_first(self._ledger, x.outgoing.profile, call, price)


def _limit(demand: Demand) -> Limit:
    rule = f"rule:{demand.by}"
    return Limit(
        f"{rule}:{demand.key}",
        "rule",
        Kind(_UNITS[demand.unit], demand.window_s),
        Terms(min(demand.limit, MAX_AMOUNT)),
        crowd=rule,
    )


def _unpriced(x: Exchange, limits: Sequence[Limit]) -> Refusal | None:
    """Return how a call is refused that offers a tool with a fee that nobody knows, if its money is limited."""
    if x.hold_price is None or not any(limit.kind.unit == "nusd" and limit.refuses for limit in limits):
        return None
    tool = unpriced(x.outgoing.call, x.hold_price)
    if tool is None:
        return None
    return Refusal(
        "invalid_value", f"each call of `{tool}` has a fee that is not known and cannot be budgeted", param="tools"
    )


def _over(exceeded: Exceeded, amounts: Amounts) -> Refusal:
    limit = exceeded.limit
    unit = limit.kind.unit
    message = f"the limit of {limit} is reached"
    if exceeded.retry_after_s == math.inf and unit != "requests":
        most = limit.told(amounts.of(unit))
        message = f"this call may take {most}, and less is left of the limit of {limit}: cap its output, or send less"
    elif limit in exceeded.held_back:
        message += " by what running calls may still take"
    return Refusal(_CODES[unit], message, retry_after_s=exceeded.retry_after_s)
