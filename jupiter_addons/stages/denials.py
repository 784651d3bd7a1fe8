"""What a decision means for the client and for the log; decide and screen say it alike."""

import logging

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.decide import Decision
from jupiter_addons.telemetry.logs import FIELDS

logger = logging.getLogger("jupiter.policy")


def denial(decision: Decision) -> Refusal:
    """Return what the client of a denied request is told: the author's message, under the rule's code and status."""
    code, message = decision.code or "policy_denied", decision.message or ""
    if decision.over_limit:
        return Refusal(code, message, retry_after_s=decision.retry_after_s)
    return Refusal(code, message, status=decision.status, by_rule=True)


def write_logs(x: Exchange, decision: Decision) -> None:
    """Write the lines that rules asked for."""
    for line in decision.logs:
        level = logging.getLevelNamesMapping()[line.level.upper()]
        logger.log(level, "%s", line.message, extra={FIELDS: {"call": x.call_id, **dict(line.fields)}})
