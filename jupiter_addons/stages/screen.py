"""Whether and how the answer may pass: response rules decide before the client has what they are about.

Rules that have to see the whole answer hold a stream back until its end (`reply` asks for that).  All others are decided when
its head has come: what they redact is taken out as it passes.  What was taken out of the request to be put back is put back
here, after all that rules find.
"""

from collections.abc import Callable

from mitmproxy import http

from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.effects import Redaction, in_force
from jupiter_addons.policy.redact import Find, PutsBack, Rewriter, Searcher, Takes, Vault
from jupiter_addons.policy.rewrite import EventEditor, rewrite_body
from jupiter_addons.stages.judge import Judge, denial
from jupiter_addons.stages.stage import stage


class Screen:
    """Reply -> decision and what it changes, or 403."""

    def __init__(self, judge: Judge, *, waits: bool, find: Find | None) -> None:
        """`waits`: some rule has to see the whole answer."""
        self._judge = judge
        self._waits = waits
        self._find = find

    @stage
    async def responseheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Decide on a stream whose rules need nothing of it."""
        if x.filled("relay") and not self._waits:
            if self._judge.has_rules:
                x.reply_decision = await self._judge.beside(x, 0)
            self._apply(x, lambda rewriter: x.relay.edit(EventEditor(x.call.dialect, rewriter)))

    @stage
    async def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Decide on a whole answer, or on a stream that was held back."""
        if not x.opened or (x.filled("relay") and not self._waits):
            return
        if self._judge.has_rules:
            x.reply_decision = await self._judge.beside(x, x.reply.text_bytes)
        if not x.filled("relay"):
            self._apply(x, lambda rewriter: self._rewrite(flow, x, rewriter))
        else:
            self._apply(x, lambda rewriter: x.relay.edit(EventEditor(x.call.dialect, rewriter)))

    def _apply(self, x: Exchange, change: Callable[[Rewriter], None]) -> None:
        searchers: list[Searcher] = []
        if x.filled("reply_decision"):
            if x.reply_decision.verdict == "deny":
                x.refuse(denial(x.reply_decision))
                return
            effects = in_force(x.reply_decision.effects)
            searchers += [Takes(e, self._find, Vault()) for e in effects if isinstance(e, Redaction)]
        if x.outgoing.put_back and not (
            x.filled("relay") and not x.relay.is_framed
        ):  # in sound there are no placeholders
            searchers.append(PutsBack(x.outgoing.put_back))
        if searchers:
            x.rewriter = Rewriter(searchers)
            change(x.rewriter)

    @staticmethod
    def _rewrite(flow: http.HTTPFlow, x: Exchange, rewriter: Rewriter) -> None:
        """Change a whole answer; an error has no text of the model."""
        if x.upstream_status >= 300:
            return
        body = rewrite_body(x.call.dialect, x.rendered, rewriter)
        if body != x.rendered:
            assert flow.response is not None
            flow.response.raw_content = x.delivered = body
            flow.response.headers["content-length"] = str(len(body))
