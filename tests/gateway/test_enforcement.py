"""What happens to a call that is too much: it waits, is asked of a lesser model, or passes and somebody is told."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: not-the-small-one
    conditions: [{field: request.model, operator: ==, value: rehearsal-small}, {field: request.prompt, operator: contains, value: important}]
    actions: [{type: deny, message: the small one is not good enough for that}]
"""


class Webhook:
    """Remembers what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, webhook: Webhook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    price = {"input": 1, "output": 1}
    overrides = {
        "limits": {
            "enforcement": {
                "queue_timeout": "5s",
                "queue_depth": 2,
                "model_downgrades": {"rehearsal-big": "rehearsal-middle", "rehearsal-middle": "rehearsal-small"},
                "alert_webhook": f"http://127.0.0.1:{webhook.server.server_port}/",
            },
            "by_model": {
                "rehearsal-queue": {"concurrent_requests": {"limit": 1, "enforcement": "queue"}},
                "rehearsal-left": {
                    "concurrent_requests": {"limit": 1, "enforcement": "queue"},
                    "requests_per_day": {"limit": 2, "enforcement": "queue"},
                },
                "rehearsal-held": {"usd_per_day": 0.0015},
                "rehearsal-big": {"requests_per_hour": {"limit": 1, "enforcement": "downgrade"}},
                "rehearsal-middle": {"requests_per_hour": {"limit": 1, "enforcement": "downgrade"}},
                "rehearsal-spent": {"tokens_per_hour": {"limit": 600, "alerts": [10]}},
                "rehearsal-watched": {"requests_per_hour": {"limit": 4, "enforcement": "alert", "alerts": [50]}},
            },
        },
        "processing": {
            "costs": {
                "overrides": {
                    f"rehearsal-{n}": price
                    for n in ("queue", "left", "held", "big", "middle", "small", "spent", "watched")
                }
            }
        },
    }
    setup = Setup(overrides=overrides, policies={"house.yaml": POLICY})
    with start_gateway(tmp_path_factory.mktemp("enforcement"), provider.port, setup) as running:
        yield running


def test_calls_wait_for_their_turn_and_too_many_do_not(gateway: Gateway):
    def ask(_: int) -> Answer:
        with Client(gateway.port) as client:
            return client.ask(post(CHAT, chat("[[delay_ms=700]] hi", model="rehearsal-queue"), gateway.key))

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(ask, range(5)))
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 429, 429]
    assert {answer.code for answer in answers if answer.status == 429} == {"queue_timeout"}


def test_who_has_gone_while_he_waited_takes_nothing(gateway: Gateway, client: Client):
    """There are two calls a day: one that runs, and one that comes when another has gone that came before."""

    def ask(text: str) -> bytes:
        return post(CHAT, chat(text, model="rehearsal-left"), gateway.key)

    with ThreadPoolExecutor(1) as pool, Client(gateway.port) as first, Client(gateway.port) as gone:
        running = pool.submit(first.ask, ask("[[delay_ms=3000]] hi"))
        time.sleep(1.2)
        gone.send(ask("waits"))
        time.sleep(0.5)
        gone.socket.close()
        assert client.ask(ask("waits behind it")).status == 200
        assert running.result().status == 200


def test_a_call_that_only_a_hold_is_in_the_way_of_is_let_in_when_that_comes_back(gateway: Gateway, client: Client):
    """Each is held at more than half of the budget, and comes to a tenth of it at most."""

    def ask(max_tokens: int) -> Answer:
        with Client(gateway.port) as another:
            body = chat("[[delay_ms=700]] hi", model="rehearsal-held", max_tokens=max_tokens)
            return another.ask(post(CHAT, body, gateway.key))

    with ThreadPoolExecutor(3) as pool:
        assert [answer.status for answer in pool.map(ask, (1000, 1000, 1000))] == [200] * 3
    assert ask(2000).status == 429  # which is more than there is, whoever holds what


def test_what_a_limit_has_no_more_for_is_asked_of_a_lesser_model_and_recorded(gateway: Gateway, client: Client):
    answers = [client.ask(post(CHAT, chat(model="rehearsal-big"), gateway.key)) for _ in range(4)]
    assert [answer.json()["model"] for answer in answers] == [
        "rehearsal-big",
        "rehearsal-middle",
        "rehearsal-small",
        "rehearsal-small",
    ]
    leaf = gateway.leaves("decision", answers[2].headers["x-jupiter-evidence-id"])[0]
    assert leaf["gen_ai"]["request.model"] == "rehearsal-big"
    assert leaf["route"]["rule"] == "limits/requests_per_hour"
    assert leaf["route"]["model"] == "rehearsal-small"
    assert "beyond requests_per_hour" in leaf["route"]["reason"]
    denied = client.ask(post(CHAT, chat("an important thing", model="rehearsal-big"), gateway.key))
    assert (denied.status, denied.code) == (403, "policy_denied")


def test_somebody_is_told_once_and_nobody_is_refused(gateway: Gateway, client: Client, webhook: Webhook):
    answers = [client.ask(post(CHAT, chat(model="rehearsal-watched"), gateway.key)) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 7
    assert wait_until(lambda: len(webhook.bodies) >= 2)
    told = b"".join(webhook.bodies)
    assert told.count(b"50 % of 4 requests per hour of model `rehearsal-watched` is used") == 1
    assert told.count(b"100 % of 4 requests") == 1
    leaf = gateway.leaves("decision", answers[-1].headers["x-jupiter-evidence-id"])[0]
    (taken,) = [one for one in leaf["limits"]["taken"] if one["by"] == "model"]
    assert taken == {
        "by": "model",
        "of": "rehearsal-watched",
        "name": "requests_per_hour",
        "unit": "requests",
        "held": 1,
        "limit": 4,
        "period": "3600s",
        "over": True,
    }


def test_somebody_is_told_of_what_is_spent_and_not_of_what_is_held(gateway: Gateway, client: Client, webhook: Webhook):
    def told() -> int:
        return b"".join(webhook.bodies).count(b"10 % of 600 tokens per hour of model `rehearsal-spent` is used")

    body = post(CHAT, chat(model="rehearsal-spent", max_tokens=100), gateway.key)
    answer = client.ask(body)
    leaf = gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]
    assert [one["held"] > 60 for one in leaf["limits"]["taken"] if one["name"] == "tokens_per_hour"] == [True]
    taken = answer.json()["usage"]["total_tokens"]
    assert taken < 60
    assert told() == 0
    for _ in range(60 // taken + 2):
        assert client.ask(body).status == 200
    assert wait_until(lambda: told() == 1)
    assert client.ask(body).status == 200
    assert told() == 1
