"""What it took: usage becomes a charge, exactly once, however the exchange ended."""

from mitmproxy import http

from jupiter_addons.enrichment.describe import charge
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.limit import Amounts
from jupiter_addons.stages.stage import closing
from jupiter_addons.units import usd


class Settle:
    """Usage -> charge."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

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
        """Charge and settle; a second call changes nothing.

        Nothing is charged where nothing was sent.  What was sent and not answered costs its input at least, because
        the provider may bill it.
        """
        if x.settled or not x.filled("reservation"):
            return
        true = Amounts()
        if "sent" in x.times_ns:
            profile, price = x.outgoing.profile, x.outgoing.price
            x.charge = charge(x.reply if x.filled("reply") else None, profile, price)
            if x.may_be_billed and not x.charge.nusd:  # the last attempt was free, an earlier one was not
                x.charge = charge(None, profile, price)
            true = Amounts(x.charge.usage.input_tokens, x.charge.usage.output_tokens, x.charge.nusd)
        x.settled = True
        await self._ledger.settle(x.reservation, true)
