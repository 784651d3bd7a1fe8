"""Whether it may: the policies decide."""

from mitmproxy import http

from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.rules import PolicySet
from jupiter_addons.stages.denials import denial, write_logs
from jupiter_addons.stages.facts import facts
from jupiter_addons.stages.stage import stage


class Decide:
    """Facts -> decision, or 403."""

    def __init__(self, policies: PolicySet, *, environment: str) -> None:
        self._policies = policies
        self._consult = indexed(policies.in_phase("request"))
        self._environment = environment

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Evaluate the request rules."""
        x.decision = evaluate(self._policies, self._consult, facts(x, self._environment), "request")
        write_logs(x, x.decision)
        if x.decision.verdict == "deny":
            x.refuse(denial(x.decision))
