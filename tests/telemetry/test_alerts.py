"""Alerts are sent, tried again, given up, and never in anybody's way."""

import asyncio
import json

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from jupiter_addons.policy.effects import AlertLine, By
from jupiter_addons.telemetry.alerts import MOST_WAITING, Alerts
from jupiter_addons.telemetry.metrics import METRICS

ALERT = AlertLine(By("p", "r"), "too dear, key sk-abcdefghijkl", "https://alerts.example.com/x", "high")


def counted(result: str) -> float:
    return METRICS.alerts.labels(result)._value.get()


def run(*answers, alerts: int = 1, drain_s: float = 5.0):
    """Send alerts to a webhook that answers so; return what it was sent and how the counters changed."""
    seen: list[tuple[str, dict]] = []
    given = list(answers)

    async def post(webhook: str, body: bytes) -> int:
        seen.append((webhook, json.loads(body)))
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, BaseException):
            raise answer
        if answer is None:
            await asyncio.sleep(60)
        return answer

    async def main() -> None:
        sender = Alerts("test", post=post, backoff_s=(0.0, 0.0))
        for number in range(alerts):
            sender.send(ALERT, f"c-{number}")
        await sender.drain(drain_s)

    results = ("sent", "refused", "failed", "dropped")
    before = {result: counted(result) for result in results}
    asyncio.run(main())
    return seen, {r: counted(r) - before[r] for r in results if counted(r) != before[r]}


def test_an_alert_says_what_its_author_wrote_and_where_to_look():
    seen, became = run(200)
    (webhook, body) = seen[0]
    assert webhook == "https://alerts.example.com/x"
    assert body.pop("time").endswith("Z")
    assert body == {
        "severity": "high", "message": "too dear, key [credential]", "policy": "p", "rule": "r", "call": "c-0", "environment": "test",
    }  # fmt: skip
    assert became == {"sent": 1}


@pytest.mark.parametrize(
    ("answers", "tries", "became"),
    [
        ([500, 204], 2, "sent"),
        ([OSError("refused"), 429, 200], 3, "sent"),
        ([503], 3, "failed"),
        ([RuntimeError("odd")], 3, "failed"),
        ([404], 1, "refused"),
        ([302], 1, "refused"),
    ],
)
def test_what_may_pass_is_tried_again_and_what_may_not_is_not(answers, tries, became):
    seen, counts = run(*answers)
    assert len(seen) == tries
    assert counts == {became: 1}


def test_too_many_are_dropped_and_a_hanging_webhook_does_not_keep_the_end():
    seen, became = run(None, alerts=MOST_WAITING + 7, drain_s=0.05)
    assert len(seen) <= 4
    assert became == {"dropped": MOST_WAITING + 7}


def test_it_is_posted_for_real():
    bodies = []

    class Hook(RequestHandler):
        def post(self) -> None:
            bodies.append((self.request.headers["content-type"], json.loads(self.request.body)["rule"]))

    async def main() -> None:
        listener, port = bind_unused_port()
        server = HTTPServer(Application([("/hook", Hook)]))
        server.add_socket(listener)
        alerts = Alerts("test")
        alerts.send(AlertLine(By("p", "r"), "m", f"http://127.0.0.1:{port}/hook", "low"), "c")
        await alerts.drain()
        server.stop()

    asyncio.run(main())
    assert bodies == [("application/json", "r")]
