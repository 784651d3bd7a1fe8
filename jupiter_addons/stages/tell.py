"""What rules want said: log lines and alerts, once it is certain which rules had a say.

After reserve, because a limit that is reached ends the rules' say earlier.  Of a refused call too; and a fault here refuses,
as it does wherever else a rule is carried out.
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


class Tell:
    """Decision -> log lines and alerts."""

    def __init__(self, alert: Callable[[AlertLine, str], None]) -> None:
        """`alert` takes an alert and the id of its call, and returns at once."""
        self._alert = alert

    @closing
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Say what was decided of the request."""
        if x.filled("decision"):
            self._tell(x, x.decision)

    @closing
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Say what was decided of the answer."""
        if x.filled("reply_decision"):
            self._tell(x, x.reply_decision)

    @closing
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Say what was decided of an answer that broke off."""
        if x.filled("reply_decision"):
            self._tell(x, x.reply_decision)

    def _tell(self, x: Exchange, decision: Decision) -> None:
        for fault in decision.faults:
            logger.warning("what rules ask for could not be worked out: %s", fault, extra={FIELDS: {"call": x.call_id}})
        for line in decision.logs:
            level = logging.getLevelNamesMapping()[line.level.upper()]
            shown = {name: redact(value) for name, value in line.fields}
            logger.log(level, "%s", line.message, extra={FIELDS: {"call": x.call_id, **shown}})
        for effect in decision.effects:
            if isinstance(effect, AlertLine):
                self._alert(effect, x.call_id)
