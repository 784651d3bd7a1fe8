"""The decision becomes durable; only then may anything be sent.

The last stage of the request.  Its permit names the exact bytes and place, and the guard holds the connection to it.
"""

import time

from mitmproxy import http

from jupiter_addons.errors import StoreError
from jupiter_addons.exchange import Exchange, Permit
from jupiter_addons.host.permits import NO_EVIDENCE
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.stages.leaves import Leaves
from jupiter_addons.stages.stage import failing_over, stage

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods of requests that may be sent twice (RFC 9110, section 9.2.2).  Moderations, though posted, change nothing."""


class Commit:
    """Decision -> signed leaf -> permit."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Await the decision leaf, then open the way."""
        try:
            await self._leaves.decision(x, status=None)
        except StoreError:
            x.refuse(NO_EVIDENCE)
            return
        x.times_ns["committed"] = time.monotonic_ns()
        x.permit = _permit(flow, x)

    @failing_over
    async def upstream_attempt_failed(self, attempt: Attempt, x: Exchange) -> None:
        """Await the leaf of the next attempt, then let it go out."""
        await self._leaves.attempt(x, attempt.number + 1, attempt.failure)
        x.permit = _permit(attempt.flow, x)
        attempt.retry = True


def _permit(flow: http.HTTPFlow, x: Exchange) -> Permit:
    request, provider = flow.request, x.candidate.provider
    return Permit(
        request.scheme,
        request.host,
        request.port,
        x.sent,
        provider.timeouts,
        max_connections=provider.max_connections,
        once=x.is_passed_on and x.call.operation != "moderations" and request.method not in IDEMPOTENT,
    )
