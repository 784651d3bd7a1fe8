"""Limits of providers, and attempts that may be billed, where one provider stands in for another."""

import socket
from collections.abc import Iterator
from threading import Thread

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, get, post

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"


class Breaking:
    """A provider that reads a request and closes the connection."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    broken = Breaking()
    good = {"type": "rehearsal", "base_url": f"http://127.0.0.1:{provider.port}/v1", "api_key": "provider-key"}
    bad = {"type": "rehearsal", "base_url": f"http://127.0.0.1:{broken.port}/v1", "api_key": "k"}
    overrides = {
        "providers": {
            "broken": {**bad, "models": ["rehearsal-1", "rehearsal-2", "rehearsal-3"], "priority": 0},
            "good": {**good, "models": ["rehearsal-1"], "priority": 1},
            "narrow": {**good, "models": ["rehearsal-3"], "priority": 1},
            "unlimited": {**good, "models": ["rehearsal-2"], "priority": 1},
            "rehearsal": {**good, "models": ["rehearsal-other"]},
        },
        "limits": {
            "by_team": {"lab": {"usd_per_day": 10}},
            "by_provider": {
                "broken": {"tokens_per_day": 100_000},
                "narrow": {"output_tokens_per_day": 900},
                "good": {"requests_per_hour": 2, "tokens_per_day": 100_000},
            },
        },
        "processing": {
            "costs": {
                "overrides": {name: {"input": 1, "output": 1} for name in ("rehearsal-1", "rehearsal-2", "rehearsal-3")}
            }
        },
    }
    with start_gateway(tmp_path_factory.mktemp("failover"), provider.port, Setup(overrides=overrides)) as running:
        yield running
    broken.listener.close()


def taken(gateway: Gateway) -> dict[str, float]:
    with Client(gateway.admin_port) as admin:
        rows = admin.ask(get("/limits", host="localhost")).json()["limits"]
    return {f"{row['subject']} {row['limit']}": (row["taken"], row["held"]) for row in rows}


def test_every_attempt_that_may_be_billed_is_charged_and_each_provider_for_its_own(gateway: Gateway, client: Client):
    answer = client.ask(post(CHAT, chat("[[say=one two three]]"), gateway.key))
    assert answer.status == 200
    used = answer.json()["usage"]["total_tokens"]
    outcome = gateway.leaves("outcome", answer.headers["x-jupiter-evidence-id"])[0]
    assert outcome["cost"]["nusd"] > used * 1000, "the attempt that broke may be billed for its input"
    assert outcome["cost"]["usage"] == "provider"
    now = taken(gateway)
    assert now["provider:broken tokens_per_day"] == (0, 0)
    assert now["provider:good tokens_per_day"][0] >= used
    assert now["provider:good tokens_per_day"][1] == 0
    assert now["team:lab usd_per_day"] == (outcome["cost"]["nusd"] / 1e9, 0)


def test_a_provider_that_failed_is_not_charged_for_what_one_without_limits_took(gateway: Gateway, client: Client):
    before = taken(gateway)["provider:broken tokens_per_day"]
    answer = client.ask(post(CHAT, chat("[[say=one two three]]", model="rehearsal-2"), gateway.key))
    assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "unlimited")
    assert taken(gateway)["provider:broken tokens_per_day"] == before


def test_a_stream_of_a_provider_that_stands_in_is_held_to_the_limits_of_that(gateway: Gateway, client: Client):
    body = chat("[[events=3000]] go on", model="rehearsal-3", max_tokens=3000, stream=True)
    answer = client.ask(post(CHAT, body, gateway.key))
    assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "narrow")
    assert 0 < taken(gateway)["provider:narrow output_tokens_per_day"][0] <= 900


def test_nobody_is_asked_who_is_beyond_its_limits(gateway: Gateway, client: Client):
    answers = [client.ask(post(CHAT, chat(), gateway.key)) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 502]
    assert taken(gateway)["provider:good requests_per_hour"] == (2, 0)
