"""Whether the answer may pass: response rules decide before the client has its end.

A stream is held back whole while there are response rules: they have to see all of it (`reply` asks for that).
"""

from mitmproxy import http

from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.rules import PolicySet
from jupiter_addons.stages.denials import denial, write_logs
from jupiter_addons.stages.facts import facts
from jupiter_addons.stages.stage import stage


class Screen:
    """Reply -> decision, or 403."""

    def __init__(self, policies: PolicySet, *, environment: str) -> None:
        self._policies = policies
        rules = policies.in_phase("response")
        self._consult = indexed(rules) if rules else None
        self._environment = environment

    @stage
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Evaluate the response rules."""
        if self._consult is None or not x.opened:
            return
        x.reply_decision = evaluate(self._policies, self._consult, facts(x, self._environment), "response")
        write_logs(x, x.reply_decision)
        if x.reply_decision.verdict == "deny":
            x.refuse(denial(x.reply_decision))
