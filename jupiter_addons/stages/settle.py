"""What it took: usage becomes a charge, exactly once, however the exchange ended."""

from collections.abc import Callable

from mitmproxy import http

from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.charges import NOTHING, Charge, charge, together
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.limit import Amounts
from jupiter_addons.routing.plan import Candidate
from jupiter_addons.stages.stage import closing
from jupiter_addons.units import usd

_ALL_FAILED = frozenset({"provider_error", "deadline_exceeded"})
"""What a client is told when the last attempt has failed, and none is under way any more."""


class Settle:
    """Usage -> charge."""

    def __init__(self, ledger: Ledger, price_at: Callable[[Candidate, Call], Price | None]) -> None:
        self._ledger = ledger
        self._price_at = price_at

    @closing
    async def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Settle, and tell the client the cost of an answer whose head has not gone out."""
        await self.settle(x)
        if x.filled("charge") and x.refusal is None and not x.filled("relay") and flow.response is not None:
            flow.response.headers["x-jupiter-cost-usd"] = usd(x.charge.nusd)

    @closing
    async def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Settle what a broken exchange took."""
        await self.settle(x)

    async def settle(self, x: Exchange) -> None:
        """Charge and settle; a second call changes nothing.  Nothing is charged where nothing was sent."""
        if x.settled or not x.filled("reservation"):
            return
        x.settled = True
        if x.filled("meter"):
            x.meter.close()
        true = Amounts()
        if "sent" in x.times_ns:
            x.charge = self._charge(x)
            true = Amounts(x.charge.usage.input_tokens, x.charge.usage.output_tokens, x.charge.nusd)
        if x.filled("reply") and x.reply.complete and x.filled("charge") and x.charge.source == "provider":
            self._ledger.sizes.add(x.outgoing.model, x.charge.usage.output_tokens)
        await self._settle(x, true)

    async def _settle(self, x: Exchange, true: Amounts) -> None:
        """Settle with everybody; of several providers, with the one that was asked last for what the call took."""
        first = last = x.route.candidates[0].provider.name
        if x.filled("candidate") and (x.candidate.provider.name in x.held_at or not _has_failed(x)):
            last = x.candidate.provider.name  # else it may never have been asked
        instead = {} if last == first else {f"provider:{first}": Amounts()}
        await self._ledger.settle(x.reservation, true, instead=instead)
        for provider, held in x.held_at.items():
            await self._ledger.settle(held, true if provider == last else Amounts())

    def _charge(self, x: Exchange) -> Charge:
        """Return what all attempts of a call took; see `enrichment.charges` for the table."""
        profile, model = x.outgoing.profile, x.outgoing.model
        usual = min(profile.output_tokens_max, self._ledger.sizes.usual(model))
        charges = [
            charge(None, profile, x.hold_price, waited=failure.reason == "timeout", usual_output=usual)
            for failure in x.failures
            if failure.sent and failure.status is None and failure.reason != "stale"
        ]
        status = x.upstream_status if x.filled("upstream_status") else None
        if not _has_failed(x):
            price = self._price_at(x.candidate, x.outgoing.call) or x.hold_price
            reply = x.reply if x.filled("reply") else None
            charges.append(charge(reply, profile, price, status=status, waited=True, usual_output=usual))
        return together(charges) if charges else NOTHING


def _has_failed(x: Exchange) -> bool:
    """Whether the last attempt has failed, and none is under way."""
    told = x.refusal is not None and x.refusal.code in _ALL_FAILED
    return told and bool(x.failures) and not x.filled("upstream_status")
