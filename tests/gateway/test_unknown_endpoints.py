"""Paths that nobody here knows, at the intercept door: governed, recorded as not scanned, or closed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.every_dialect import digests
from support.passing import Bench, started, upload
from support.wire import Client, get, post

from jupiter_addons.evidence.record import digest
from jupiter_addons.rehearsal.server import RehearsalThread

POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: no-jobs
    when: request.type == "unknown" and request.endpoint starts_with "/v1/fine_tuning"
    actions: [{type: deny, message: no training, code: no_training}]
  - name: no-such-model
    when: request.model == "secret-model"
    actions: [{type: deny, message: not this model, code: no_model}]
  - name: no-cards
    when: request.endpoint == "/v1/echo/cards" and has_pii()
    actions: [{type: deny, message: no cards, code: no_cards}]
"""


@pytest.fixture(scope="module")
def bench(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with started(tmp_path_factory.mktemp("unknown"), provider, POLICY) as running:
        yield running


@pytest.mark.parametrize(
    "media", ["application/octet-stream", "application/json", "text/event-stream", "application/x-ndjson", "text/html"]
)
@pytest.mark.parametrize("body", [b'{"model": "x", "a": [1.0]}', b""], ids=["body", "none"])
def test_an_unknown_path_is_governed_and_recorded_as_not_scanned(bench: Bench, media: str, body: bytes):
    target = "/v1/echo?limit=1"
    answer = bench.ask(upload(target, body, "the-clients-own", media), "intercept")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, body, media)
    assert (bench.last.target, bench.last.body) == (target, body)
    decision, outcome = bench.leaves(answer)
    assert decision["door"] == "intercept"
    assert decision["http"] == {"method": "POST", "path": "/v1/echo"}
    assert (decision["gen_ai"]["operation.name"], decision["gen_ai"]["scan"]) == ("unknown", "not_scanned")
    assert outcome["outcome"]["status"] == "ok"
    assert outcome["cost"] == {"nusd": 0, "usage": "estimate", "price": "unpriced"}
    assert digests(decision, outcome)["request_upstream"] == digest("request", body).sha256
    assert answer.headers["x-jupiter-decision"] == "allow"
    with Client(bench.gateway.admin_port) as client:
        assert (
            'jupiter_requests_not_scanned_total{door="intercept",operation="unknown"}'
            in client.ask(get("/metrics")).body.decode()
        )


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_method_may_be_unknown(bench: Bench, method: str):
    answer = bench.ask(get("/v1/echo", "own").replace(b"GET", method.encode(), 1), "intercept")
    assert (answer.status, bench.last.method) == (200, method)


def test_rules_hold_at_unknown_paths(bench: Bench):
    seen = bench.provider.journal.seen
    answer = bench.ask(post("/v1/fine_tuning/jobs", {"model": "x"}, "own"), "intercept")
    assert (answer.status, answer.code) == (403, "no_training")
    answer = bench.ask(post("/v1/echo", {"model": "secret-model"}, "own"), "intercept")
    assert (answer.status, answer.code) == (403, "no_model")
    answer = bench.ask(post("/v1/echo/cards", b"\x00\x01", "own"), "intercept")
    assert (answer.status, answer.code) == (403, "no_cards")
    assert bench.provider.journal.seen == seen


@pytest.mark.parametrize(
    "target",
    [
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/v1/chat%2fcompletions",
        "/x/v1/chat/completions",
        "/V1/responses",
    ],
)
def test_a_call_that_is_spelled_otherwise_does_not_pass(bench: Bench, target: str):
    seen = bench.provider.journal.seen
    answer = bench.ask(post(target, {"model": "rehearsal-1", "messages": []}, "own"), "intercept")
    assert (answer.status, answer.code) == (403, "endpoint_denied")
    assert bench.provider.journal.seen == seen


def test_an_upgrade_is_refused_at_an_unknown_path(bench: Bench):
    answer = bench.ask(get("/v1/realtime", "own", Upgrade="websocket", Connection="Upgrade"), "intercept")
    assert answer.status == 426


def test_an_unknown_path_stays_unknown_at_the_gateway_door(bench: Bench):
    answer = bench.ask(post("/v1/echo", {}, bench.gateway.key))
    assert (answer.status, answer.code) == (404, "unknown_path")


def test_unknown_paths_can_be_closed(provider: RehearsalThread, tmp_path: Path):
    with started(tmp_path, provider, POLICY, intercept={"unknown_endpoints": "deny"}) as closed:
        seen = provider.journal.seen
        answer = closed.ask(post("/v1/echo", {}, "own"), "intercept")
        assert (answer.status, answer.code) == (403, "endpoint_denied")
        assert provider.journal.seen == seen
