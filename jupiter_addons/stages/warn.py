"""Who is told that a limit is nearly used up: the log, and a webhook if one is configured; once in each window."""

import logging
import math
import time
from collections.abc import Callable, Iterable

from mitmproxy import http

from jupiter_addons.errors import StoreError
from jupiter_addons.exchange import Exchange
from jupiter_addons.limits.alerts import ALL, Alert, is_told, reached, spent
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.store import Counter, Sliding
from jupiter_addons.policy.effects import AlertLine, By
from jupiter_addons.policy.rules import Severity
from jupiter_addons.stages.stage import watching
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS

logger = logging.getLogger("jupiter.limits")

REMEMBERED_S = 60.0
"""For so long it is known without asking the store that something was told, or for a tenth of its window if that is shorter."""
MANY = 10_000


class Warnings:
    """Tells the log and the webhook, of each alert once in its window, whichever process sees it first."""

    def __init__(self, ledger: Ledger, send: Callable[[AlertLine, str], None], webhook: str | None) -> None:
        self.ledger = ledger
        self._send = send
        self._webhook = webhook
        self._told: dict[Counter, float] = {}
        """What is known to have been told, and until when that is believed."""

    async def tell(self, alerts: Iterable[Alert], call_id: str) -> None:
        """Tell what was not told yet."""
        for alert in alerts:
            now_s = time.monotonic()
            if self._told.get(alert.once, 0.0) > now_s:
                continue
            try:
                is_first = await self.ledger.first(alert.once)
            except StoreError as error:
                logger.warning("an alert may be told again: %s", error)
                is_first = True
            if len(self._told) >= MANY:
                self._told.clear()
            shape = alert.shape
            self._told[alert.once] = now_s + min(
                REMEMBERED_S, shape.window_s / 10 if isinstance(shape, Sliding) else math.inf
            )
            if is_first:
                self._tell(alert, call_id)

    def _tell(self, alert: Alert, call_id: str) -> None:
        METRICS.limit_alerts.labels(str(alert.percent)).inc()
        logger.warning("%s", alert, extra={FIELDS: {"call": call_id, "limit": alert.limit.name}})
        if self._webhook is not None:
            severity: Severity = "high" if alert.percent >= ALL else "medium"
            self._send(AlertLine(By("limits", alert.limit.name), str(alert), self._webhook, severity), call_id)


class WarnOfTaken:
    """Reservation, or what refused it -> alerts."""

    def __init__(self, warnings: Warnings) -> None:
        self._warnings = warnings

    @watching
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Tell of the shares that this call has reached and none before it."""
        outcome = x.reservation if x.filled("reservation") else x.exceeded if x.filled("exceeded") else None
        if outcome is not None:
            await self._warnings.tell(reached(outcome), x.call_id)


class WarnOfSpent:
    """Charge -> alerts."""

    def __init__(self, warnings: Warnings) -> None:
        self._warnings = warnings

    @watching
    async def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Tell of the shares that are spent, now that it is known what the call came to."""
        await self._look(x)

    @watching
    async def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Tell of them after a broken exchange, too."""
        await self._look(x)

    async def _look(self, x: Exchange) -> None:
        if not x.filled("reservation"):
            return
        held = x.reservation
        told = [(limit, take) for limit, take in zip(held.limits, held.takes, strict=False) if is_told(limit)]
        if not told:
            return
        counts = await self._warnings.ledger.standing_of(held, [take for _, take in told])
        for (limit, take), count in zip(told, counts, strict=True):
            await self._warnings.tell(spent(limit, take, count), x.call_id)
