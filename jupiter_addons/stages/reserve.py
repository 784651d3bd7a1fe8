"""What it may take: one all-or-nothing step over every limit that applies."""

import time
from collections.abc import Callable, Sequence

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.demand import Limit
from jupiter_addons.limits.ledger import Exceeded, Ledger
from jupiter_addons.stages.stage import stage


class Reserve:
    """Principal + model -> reservation, or 429."""

    def __init__(self, ledger: Ledger, limits_for: Callable[[str, str | None, str], Sequence[Limit]]) -> None:
        self._ledger = ledger
        self._limits_for = limits_for

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Reserve, or refuse naming the limit and when to come back."""
        limits = self._limits_for(x.principal.user, x.principal.team, x.call.model)
        outcome = self._ledger.reserve(x.call_id, limits, time.monotonic_ns())
        if isinstance(outcome, Exceeded):
            message = (
                f"the limit of {outcome.limit.amount} {outcome.limit.kind} per {outcome.limit.window_s:g} s is reached"
            )
            x.refuse(Refusal("rate_limited", message, retry_after_s=outcome.retry_after_s))
        else:
            x.reservation = outcome
