"""What it is worth: tokens and money, before anything is decided."""

from collections.abc import Callable

from mitmproxy import http

from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.describe import describe
from jupiter_addons.enrichment.findings import Findings
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.exchange import Exchange
from jupiter_addons.stages.stage import stage


class Enrich:
    """Call -> profile."""

    def __init__(self, *, price_for: Callable[[Call], Price | None], default_max_output_tokens: int) -> None:
        self._price_for = price_for
        self._default_max_output_tokens = default_max_output_tokens

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Estimate and bound the call."""
        x.price = self._price_for(x.call)
        x.findings = Findings.of(x.call)
        x.profile = describe(x.call, x.price, x.plain_bytes, self._default_max_output_tokens)
