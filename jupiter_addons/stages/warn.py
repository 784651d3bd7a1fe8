"""Who is told that a limit is nearly used up: the log, and a webhook if one is configured; once in each window."""

import logging
from collections.abc import Callable

from mitmproxy import http

from jupiter_addons.errors import StoreError
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.alerts import ALL, Alert, reached
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.policy.effects import AlertLine, By
from jupiter_addons.policy.rules import Severity
from jupiter_addons.stages.stage import watching
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS

logger = logging.getLogger("jupiter.limits")


class Warn:
    """Reservation, or what refused it -> alerts."""

    def __init__(self, ledger: Ledger, send: Callable[[AlertLine, str], None], webhook: str | None) -> None:
        self._ledger = ledger
        self._send = send
        self._webhook = webhook

    @watching
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Tell of the shares that this call has reached and none before it."""
        outcome = x.reservation if x.filled("reservation") else x.exceeded if x.filled("exceeded") else None
        if outcome is None:
            return
        for alert in reached(outcome):
            try:
                if await self._ledger.first(alert.once):
                    self._tell(alert, x.call_id)
            except StoreError as error:
                logger.warning("an alert may be told again: %s", error)
                self._tell(alert, x.call_id)

    def _tell(self, alert: Alert, call_id: str) -> None:
        METRICS.limit_alerts.labels(str(alert.percent)).inc()
        logger.warning("%s", alert, extra={FIELDS: {"call": call_id, "limit": alert.limit.name}})
        if self._webhook is not None:
            severity: Severity = "high" if alert.percent >= ALL else "medium"
            self._send(AlertLine(By("limits", alert.limit.name), str(alert), self._webhook, severity), call_id)
