"""What is proved: the signed outcome is durable before the client has the end of its answer.

A call that was refused before anything was sent has one leaf, its decision with the outcome folded in.  One that went
out has a decision leaf already (`commit`) and gets an outcome leaf here.  Callers who never showed a good key are counted.
"""

from mitmproxy import http

from jupiter_addons.errors import StageOrderError, StoreError
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.permits import NO_EVIDENCE
from jupiter_addons.stages.leaves import Leaves
from jupiter_addons.stages.stage import closing, watching


class Record:
    """Exchange -> signed leaf."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves

    @closing
    async def http_connect(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Record a CONNECT that was refused; one that was granted is recorded by what passes through it."""
        if x.refusal is not None:
            await self._record(flow, x)

    @closing
    async def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Record how the exchange ended."""
        await self._record(flow, x)

    @closing
    async def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Record an exchange that broke off."""
        if x.refusal is None:
            x.client_closed = True
        await self._record(flow, x)

    async def _record(self, flow: http.HTTPFlow, x: Exchange) -> None:
        if x.filled("reservation") and not x.settled:
            raise StageOrderError("an exchange that is not settled cannot be recorded: its charge is not known")
        try:
            await self.record(flow, x)
        except StoreError:
            x.refuse(NO_EVIDENCE)

    async def record(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Append the leaf this exchange still owes; a second call changes nothing.  Raises StoreError."""
        if x.recorded:
            return
        status = x.head_status or (flow.response.status_code if flow.response is not None else 0)
        if x.filled("permit"):
            await self._leaves.outcome(x, status=status)
        else:
            await self._leaves.decision(x, status=status)
        x.recorded = True


class CountRefused:
    """Unauthenticated refusals, aggregated per address and second: they cost no leaf each."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves

    @watching
    def http_connect(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Count a CONNECT without good credentials."""
        self._count(x)

    @watching
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Count a request without good credentials."""
        self._count(x)

    @watching
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Count a broken request."""
        self._count(x)

    def _count(self, x: Exchange) -> None:
        if not x.filled("principal") and x.refusal is not None:
            self._leaves.refused(x.client_address, x.refusal.code)
