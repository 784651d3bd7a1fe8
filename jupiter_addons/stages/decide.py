"""Whether it may: the policies decide."""

from mitmproxy import http

from jupiter_addons.exchange import Exchange
from jupiter_addons.stages.judge import Judge, denial
from jupiter_addons.stages.stage import stage


class Decide:
    """Facts -> decision, or 403."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Evaluate the request rules."""
        x.decide(await self._judge.beside(x, x.plain_bytes))
        if x.decision.verdict == "deny":
            x.refuse(denial(x.decision))
