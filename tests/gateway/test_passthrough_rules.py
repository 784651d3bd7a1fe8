"""What rules make of what is passed on: answers that they judge or change, routes, and batches that are to pass."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.forms import form, part, recording
from support.passing import Bench, settings, started, upload
from support.wire import Client, post

from jupiter_addons.rehearsal.server import RehearsalThread

BATCH = form(part("purpose", "batch"), part("file", b'{"custom_id": "1"}\n', file="a.jsonl"))

ANSWERS = """
mpl_version: "1.0"
name: answers
phase: response
rules:
  - name: no-names
    when: response.content contains "You sent"
    actions: [{type: deny, message: not this, code: no_names}]
  - name: no-mail
    when: has_pii()
    actions: [{type: deny, message: not that, code: no_mail}]
"""


@pytest.fixture(scope="module")
def judged(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    over: dict[str, Any] = {"intercept": {"unknown_endpoints": "deny"}}
    with started(tmp_path_factory.mktemp("judged"), provider, ANSWERS, **over) as running:
        yield running


@pytest.mark.parametrize("fields", [{}, {"response_format": "text"}, {"stream": "true"}])
def test_rules_judge_what_was_heard_in_a_recording(judged: Bench, fields: dict[str, str]):
    answer = judged.ask(upload("/v1/audio/transcriptions", recording(**fields), judged.gateway.key))
    assert (answer.status, answer.code) == (403, "no_names")
    answer = judged.ask(
        upload("/v1/audio/transcriptions", recording(prompt="[[say=hm]]", **fields), judged.gateway.key)
    )
    assert answer.status == 200, answer.body
    assert answer.body == judged.last.sent


@pytest.mark.parametrize("more", [{}, {"stream_format": "sse"}])
def test_sound_that_rules_are_to_judge_does_not_pass(judged: Bench, more: dict[str, str]):
    answer = judged.ask(post("/v1/audio/speech", {"model": "rehearsal-1", "input": "a", **more}, judged.gateway.key))
    assert answer.status in (403, 502)
    assert b"\xff\xfb" not in answer.body


REDACTS = """
mpl_version: "1.0"
name: answers
rules:
  - name: clean
    phase: response
    conditions: []
    actions: [{type: redact, fields: [response.content], pattern: 'You [a-z]+'}]
  - name: elsewhere
    when: request.text contains "elsewhere"
    actions: [{type: route, provider: second, model: rehearsal-1}]
"""


@pytest.fixture(scope="module")
def open_to_all(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    over = {**settings(provider), "proxy": {"batches": "pass"}, "processing": {"costs": {"unknown_model": "free"}}}
    with started(tmp_path_factory.mktemp("open"), provider, REDACTS, **over) as running:
        yield running


def test_batches_can_pass_unread_and_unpriced(open_to_all: Bench):
    bench = open_to_all
    made = bench.ask(upload("/v1/files", BATCH, bench.gateway.key))
    answer = bench.ask(post("/v1/batches", {"input_file_id": made.json()["id"]}, bench.gateway.key))
    assert (answer.status, answer.headers["x-jupiter-provider"]) == (200, "rehearsal")
    _, outcome = bench.leaves(answer)
    assert outcome["cost"]["price"] == "unpriced"
    assert bench.ask(post("/v1/batches/" + answer.json()["id"] + "/cancel", b"", bench.gateway.key)).status == 200
    assert bench.ask(post("/v1/messages/batches", {}, "own"), "intercept").status == 404  # the provider's own answer


def test_what_costs_nothing_by_configuration_is_recorded_as_unpriced(open_to_all: Bench):
    answer = open_to_all.ask(post("/v1/images/generations", {"prompt": "p"}, open_to_all.gateway.key))
    _, outcome = open_to_all.leaves(answer)
    assert (answer.status, outcome["cost"]["price"]) == (200, "unpriced")


def test_what_is_heard_is_redacted_and_what_cannot_be_is_withheld(open_to_all: Bench):
    bench = open_to_all
    answer = bench.ask(upload("/v1/audio/transcriptions", recording(), bench.gateway.key))
    assert answer.json()["text"].startswith("[REDACTED] ")
    answer = bench.ask(upload("/v1/audio/transcriptions", recording(stream="true"), bench.gateway.key))
    assert b"[REDACTED]" in answer.body and b"You" not in answer.body
    answer = bench.ask(upload("/v1/audio/transcriptions", recording(response_format="text"), bench.gateway.key))
    assert (answer.status, answer.code) == (503, "policy_unavailable")
    answer = bench.ask(post("/v1/audio/speech", {"model": "rehearsal-1", "input": "a"}, bench.gateway.key))
    assert (answer.status, answer.code) == (503, "policy_unavailable")


def test_a_rule_that_routes_is_carried_out_or_refuses(open_to_all: Bench):
    bench = open_to_all
    answer = bench.ask(upload("/v1/audio/transcriptions", recording(prompt="elsewhere"), bench.gateway.key))
    assert answer.headers["x-jupiter-provider"] == "second"
    answer = bench.ask(post("/v1/moderations", {"input": "elsewhere"}, bench.gateway.key))
    assert (answer.status, answer.code) == (503, "policy_unavailable")


def peak_mib(bench: Bench) -> int:
    status = Path(f"/proc/{bench.gateway.process.pid}/status")
    if not status.exists():
        pytest.skip("there is no /proc here")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024


def test_what_has_been_uploaded_is_not_kept(open_to_all: Bench):
    bench, sizes = open_to_all, []
    big = form(part("purpose", "assistants"), part("file", b"\0" * (20 * 1024**2), file="a"))
    for _ in range(8):
        assert bench.ask(upload("/v1/files", big, bench.gateway.key)).status == 200
        sizes.append(peak_mib(bench))
    assert sizes[-1] - sizes[1] < 60, sizes


def test_a_new_connection_for_each_call_does_not_pile_them_up(open_to_all: Bench):
    bench = open_to_all
    request = post("/v1/audio/speech", {"model": "rehearsal-1", "input": "[[status=400]]"}, bench.gateway.key)
    with Client(bench.gateway.port) as client:
        for _ in range(20):
            assert client.ask(request).status == 400
    for _ in range(20):
        assert bench.ask(request).status == 400
    assert len(bench.provider.transports) <= 4
