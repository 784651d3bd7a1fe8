"""What rules want said: log lines and alerts, once it is certain which rules had a say.

Of a request after reserve, because a limit that is reached ends the rules' say earlier; of an answer after screen, where its
rules are asked.  Of a refused call too; and a fault here refuses, as it does wherever else a rule is carried out.
"""

import logging
from collections.abc import Callable

from mitmproxy import http

from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.effects import AlertLine
from jupiter_addons.stages.stage import closing
from jupiter_addons.telemetry.logs import FIELDS, redact

logger = logging.getLogger("jupiter.policy")


type Send = Callable[[AlertLine, str], None]
"""Takes an alert and the id of its call, and returns at once."""


class TellOfRequest:
    """Decision -> log lines and alerts."""

    def __init__(self, alert: Send) -> None:
        self._alert = alert

    @closing
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Say what was decided of the request."""
        if x.filled("decision"):
            _tell(x, x.decision, self._alert)


class TellOfAnswer:
    """Decision on the answer -> log lines and alerts."""

    def __init__(self, alert: Send) -> None:
        self._alert = alert

    @closing
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Say what was decided of the answer."""
        if x.filled("reply_decision"):
            _tell(x, x.reply_decision, self._alert)

    @closing
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Say what was decided of an answer that broke off."""
        if x.filled("reply_decision"):
            _tell(x, x.reply_decision, self._alert)


def _tell(x: Exchange, decision: Decision, alert: Send) -> None:
    for fault in decision.faults:
        logger.warning("what rules ask for could not be worked out: %s", fault, extra={FIELDS: {"call": x.call_id}})
    for line in decision.logs:
        level = logging.getLevelNamesMapping()[line.level.upper()]
        about = {"call": x.call_id, "rule": str(line.by), **{name: redact(value) for name, value in line.fields}}
        logger.log(level, "%s", line.message, extra={FIELDS: about})
    for effect in decision.effects:
        if isinstance(effect, AlertLine):
            alert(effect, x.call_id)
