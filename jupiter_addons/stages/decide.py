"""Whether it may: the policies decide."""

import logging

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.decide import Decision, evaluate
from jupiter_addons.policy.nodes import PolicySet
from jupiter_addons.stages.facts import facts
from jupiter_addons.stages.stage import stage
from jupiter_addons.telemetry.logs import FIELDS

logger = logging.getLogger("jupiter.policy")


class Decide:
    """Facts -> decision, or 403."""

    def __init__(self, policies: PolicySet, *, environment: str) -> None:
        self._policies = policies
        self._rules = policies.in_phase("request")
        self._environment = environment

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Evaluate the request rules."""
        x.decision = evaluate(self._policies, self._rules, facts(x, self._environment), "request")
        write_logs(x, x.decision)
        if x.decision.verdict == "deny":
            x.refuse(denial(x.decision))


def denial(decision: Decision) -> Refusal:
    """Return what the client of a denied request is told: the author's message, under the rule's code and status."""
    return Refusal(decision.code or "policy_denied", decision.message or "", status=decision.status)


def write_logs(x: Exchange, decision: Decision) -> None:
    """Write the lines that rules asked for."""
    for line in decision.logs:
        level = logging.getLevelNamesMapping()[line.level.upper()]
        logger.log(level, "%s", line.message, extra={FIELDS: {"call": x.call_id}})
