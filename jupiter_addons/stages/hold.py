"""What a call may take of another provider than the one that it was reserved for, and what a further attempt may cost.

The first candidate is part of the one step of `reserve`.  Where `translate` passes it over, or an attempt at it has failed, the
limits of the next provider are taken on their own; nobody is asked who is beyond them.
"""

from collections.abc import Callable, Sequence

from mitmproxy import http

from jupiter_addons.errors import Refusal, StoreError
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.limits.ledger import Exceeded, Ledger
from jupiter_addons.limits.limit import Amounts, Limit
from jupiter_addons.limits.store import come
from jupiter_addons.stages.judge import NO_COUNTERS
from jupiter_addons.stages.stage import failing_over, stage
from jupiter_addons.units import cost

_BUSY = "the provider that could be asked is asked as much as it may be"


class HoldProvider:
    """Candidate -> reservation of its provider's limits."""

    def __init__(self, ledger: Ledger, limits_at: Callable[[str], Sequence[Limit]]) -> None:
        self._ledger = ledger
        self._limits_at = limits_at

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Hold the provider that is asked first, if it is not the one that was reserved."""
        try:
            outcome = await self._hold(x)
        except StoreError:
            x.refuse(NO_COUNTERS)
            return
        if outcome is not None:
            x.refuse(Refusal("rate_limited", _BUSY, retry_after_s=outcome.retry_after_s))

    @failing_over
    async def upstream_attempt_failed(self, attempt: Attempt, x: Exchange) -> None:
        """Hold the next provider, and what the attempt that failed may be billed at; ask nobody if that cannot be had."""
        failure = attempt.failure
        if failure.reason == "stale":
            return
        try:
            outcome = await self._hold(x)
            if outcome is None and failure.sent and failure.status is None:
                profile, price = x.outgoing.profile, x.hold_price
                tokens = profile.input_tokens_estimate + profile.input_tokens_unread
                more = Amounts(tokens, 0, 0 if price is None else cost(tokens, price.input), requests=0)
                billed = await come(self._ledger.extend(x.reservation, more))
                outcome = billed if isinstance(billed, Exceeded) else None
        except StoreError:
            attempt.give_up()
            return
        if outcome is not None:
            attempt.give_up()

    async def _hold(self, x: Exchange) -> Exceeded | None:
        """Take what the limits of the candidate's provider want, unless that is taken; return what refused it."""
        provider = x.candidate.provider.name
        if provider == x.route.candidates[0].provider.name or provider in x.held_at:
            return None
        limits = self._limits_at(provider)
        if not limits:
            return None
        outcome = await self._ledger.reserve(f"{x.call_id}/{provider}", limits, x.reservation.amounts)
        if isinstance(outcome, Exceeded):
            return outcome
        x.held_at[provider] = outcome
        return None
