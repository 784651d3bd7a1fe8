"""Alerts on their way to webhooks: never on the path of a request, never without bounds, never silently lost.

An alert is a POST of a small JSON object:

    {"severity": "high", "message": …, "policy": …, "rule": …, "call": …, "environment": …, "time": "2026-01-01T00:00:00Z"}

It holds what the rule's author wrote and where to look for the rest in the evidence; what users and models say is not in it.
Tornado posts it, which is here anyway (`admin`) and, unlike others, takes no proxy from the environment: through it the
gateway would call itself.
"""

import asyncio
import contextlib
import datetime
import logging
from collections.abc import Awaitable, Callable

import orjson
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from jupiter_addons.policy.effects import AlertLine
from jupiter_addons.telemetry.logs import redact
from jupiter_addons.telemetry.metrics import METRICS

logger = logging.getLogger(__name__)

MOST_WAITING = 1000
"""So many alerts wait; more are dropped, and counted."""
AT_ONCE = 4
"""So many are being sent: a webhook that hangs does not keep all others waiting."""
BACKOFF_S = (1.0, 4.0, 16.0)
"""How long to wait before each further attempt."""
TIMEOUT_S = 10.0
LAST_WORDS_S = 3.0
"""How long what still waits may take when the gateway ends."""

type Post = Callable[[str, bytes], Awaitable[int]]
"""URL and body -> status.  Raises OSError if there was no answer."""


class Alerts:
    """Sends alerts, in the order they came as far as that can be."""

    def __init__(self, environment: str, *, post: Post | None = None, backoff_s: tuple[float, ...] = BACKOFF_S) -> None:
        self._environment = environment
        self._post: Post = post or _post
        self._backoff_s = backoff_s
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MOST_WAITING)
        self._senders: list[asyncio.Task[None]] = []
        self._unsent = 0

    def send(self, alert: AlertLine, call_id: str) -> None:
        """Take an alert and return at once; it is sent by and by.  Needs a running event loop."""
        if not self._senders:
            loop = asyncio.get_running_loop()
            self._senders = [loop.create_task(self._run(), name="alerts") for _ in range(AT_ONCE)]
        now = datetime.datetime.now(datetime.UTC)
        body = orjson.dumps(
            {
                "severity": alert.severity,
                "message": redact(alert.message),
                "policy": alert.by.policy,
                "rule": alert.by.rule,
                "call": call_id,
                "environment": self._environment,
                "time": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            }
        )
        try:
            self._waiting.put_nowait((alert.webhook, body))
            self._unsent += 1
        except asyncio.QueueFull:
            METRICS.alerts.labels("dropped").inc()
            logger.warning("an alert is dropped: %d wait already", MOST_WAITING)

    async def drain(self, within_s: float = LAST_WORDS_S) -> None:
        """Wait for what is on its way, but not for long, then end."""
        if self._senders:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.join(), within_s)
        self.stop()

    def stop(self) -> None:
        """End at once; what still waits is lost, and said to be."""
        for sender in self._senders:
            sender.cancel()
        self._senders = []
        while not self._waiting.empty():
            self._waiting.get_nowait()
        left, self._unsent = self._unsent, 0
        if left:
            METRICS.alerts.labels("dropped").inc(left)
            logger.warning("%d alerts are not sent: the gateway ends", left)

    async def _run(self) -> None:
        while True:
            webhook, body = await self._waiting.get()
            METRICS.alerts.labels(await self._deliver(webhook, body)).inc()
            self._unsent -= 1
            self._waiting.task_done()

    async def _deliver(self, webhook: str, body: bytes) -> str:
        """Send one alert, as often as it takes and makes sense; return what became of it."""
        failure = ""
        for wait_s in (0.0, *self._backoff_s):
            await asyncio.sleep(wait_s)
            try:
                status = await self._post(webhook, body)
            except Exception as error:  # noqa: BLE001 - a webhook must not stop those that send to others
                failure = type(error).__name__
                continue
            if 200 <= status < 300:
                return "sent"
            failure = f"status {status}"
            if status not in (408, 425, 429) and status < 500:
                logger.warning("a webhook refused an alert: %s", failure)
                return "refused"
        logger.warning("an alert could not be sent: %s", failure)
        return "failed"


async def _post(webhook: str, body: bytes) -> int:
    request = HTTPRequest(
        webhook,
        method="POST",
        headers={"content-type": "application/json", "user-agent": "mercator-jupiter"},
        body=body,
        connect_timeout=TIMEOUT_S,
        request_timeout=TIMEOUT_S,
        follow_redirects=False,
        decompress_response=False,
    )
    try:
        return (await AsyncHTTPClient().fetch(request, raise_error=False)).code
    except HTTPClientError as error:
        raise OSError(str(error)) from error
