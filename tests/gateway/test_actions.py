"""Each action, seen by the provider and by the client: whole answers and streams, both dialects."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, post, wait_until

from jupiter_addons.evidence.record import digest
from jupiter_addons.rehearsal.journal import Entry
from jupiter_addons.rehearsal.server import RehearsalThread

CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
MAIL = "'[a-z]+@[a-z]+[.]com'"
BOTH = pytest.mark.parametrize("path", [CHAT, MESSAGES], ids=["openai", "anthropic"])
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


def rule(case: str, action: str, extra: str = "") -> str:
    condition = f"{{field: request.metadata.case, operator: ==, value: {case}}}"
    return f"  - {{name: {case}, conditions: [{condition}], actions: [{action}]{extra}}}\n"


REQUESTS = {
    "mask": f"{{type: redact, fields: [request.messages], pattern: {MAIL}}}",
    "hide": f"{{type: redact, fields: [request.messages], pattern: {MAIL}, reversible: true}}",
    "set": "{type: modify, field: request.max_tokens, value: 7}",
    "drop": "{type: modify, field: request.user, operation: remove}",
    "brief": "{type: transform, prepend_to_prompt: 'Be brief. ', append_to_prompt: ' Thanks.', set_parameter: {name: seed, value: 7}}",
    "move": "{type: route, provider: other, model: rehearsal-2, reason: dear}",
    "fall": "{type: route, provider: gone, fallback: [other]}",
    "broken": "{type: modify, field: request.max_tokens, value: many}",
    "nobody": "{type: route, provider: '{{ request.metadata.to }}'}",
    "rate": "{type: rate_limit, key: '{{ context.user_id }}', limit: 2, window: 1h}",
    "spend": "{type: budget, key: all, limit: 0.0001, window: daily, budget_type: cost, message: 'no money left'}",
    "many": "{type: budget, key: all, limit: 400, window: daily, budget_type: tokens}",
    "risky": "{type: score, add: 3}, {type: score, add: 3}, {type: threshold, score: 5, message: too risky, code: risk}",
    "own": "{type: deny, message: no, code: budget_exceeded}",
    "seen": "{type: log, level: warn, message: 'saw {{ request.model }}', include_fields: [context.team]}, {type: tag, key: m, value_from: request.model}",
    "join": "{type: redact, fields: [request.messages], method: remove, pattern: '@@'}",
    "tell": "{type: alert, webhook: 'WEBHOOK', message: 'by {{ context.team }}', severity: high}",
}
ANSWERS = {
    "clean": f"{{type: redact, fields: [response.content], pattern: {MAIL}}}, {{type: tag, key: k, value: cleaned}}",
}
JOINED = """
  - name: joined
    conditions:
      - {field: request.metadata.case, operator: ==, value: join}
      - {field: request.text, operator: contains, value: passphrase}
    actions: [{type: deny, message: no such words, code: words}]
"""
HELD = f"""
  - name: held
    conditions:
      - {{field: request.metadata.case, operator: ==, value: held}}
      - {{field: response.content, operator: contains, value: joe}}
    actions:
      - {{type: redact, fields: [response.content], pattern: {MAIL}, replacement: "<m>"}}
      - {{type: log, level: warn, message: "cleaned for {{{{ context.team }}}}"}}
"""


class Webhook(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def webhook() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as server:
        server.bodies = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def other() -> Iterator[RehearsalThread]:
    with RehearsalThread(api_key="other-key") as running:
        yield running


def setup(webhook: ThreadingHTTPServer, other: RehearsalThread, answers: str) -> Setup:
    asked = "".join(rule(case, action) for case, action in REQUESTS.items())
    asked += JOINED
    asked = asked.replace("WEBHOOK", f"http://127.0.0.1:{webhook.server_address[1]}/alerts")
    price = {"input": "0.15", "output": "0.60"}
    overrides = {
        "providers": {
            "other": {"type": "rehearsal", "base_url": f"http://127.0.0.1:{other.port}/v1", "api_key": "other-key", "models": ["rehearsal-*"]},
            "gone": {"type": "rehearsal", "base_url": "http://127.0.0.1:1/v1", "api_key": "k", "models": ["rehearsal-1"]},
            "rehearsal": {"weight": 1000},
        },
        "processing": {"costs": {"overrides": {"rehearsal-2": price}}},
    }  # fmt: skip
    head = 'mpl_version: "1.0"\nname: {}\nrules:\n'
    return Setup(
        overrides=overrides,
        policies={"a.yaml": head.format("asks") + asked, "b.yaml": head.format("answers") + answers},
    )


@pytest.fixture(scope="module")
def gateway(provider, webhook, other, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Its rules need nothing of an answer: streams pass as they come."""
    answers = "".join(rule(case, action, ", phase: response") for case, action in ANSWERS.items())
    with start_gateway(tmp_path_factory.mktemp("actions"), provider.port, setup(webhook, other, answers)) as running:
        yield running


@pytest.fixture(scope="module")
def holding(provider, webhook, other, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One of its rules reads the answer: streams are held back whole."""
    with start_gateway(tmp_path_factory.mktemp("holding"), provider.port, setup(webhook, other, HELD)) as running:
        yield running


def ask(client: Client, gateway: Gateway, case: str, text: str = "hello", path: str = CHAT, **fields: Any) -> Answer:
    metadata = {"case": case, **fields.pop("metadata", {})}
    return client.ask(post(path, chat(text, metadata=metadata, **fields), gateway.key))


def said(answer: Answer, path: str) -> str:
    """The text of an answer, whole or streamed."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        chunks = [json.loads(line[6:]) for line in answer.body.decode().split("\n") if line.startswith("data: {")]
        if path == CHAT:
            return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
        return "".join(c["delta"].get("text", "") for c in chunks if c["type"] == "content_block_delta")
    body = answer.json()
    return body["choices"][0]["message"]["content"] if path == CHAT else body["content"][0]["text"]


def last(provider: RehearsalThread) -> Entry:
    return provider.journal.entries[-1]


def decided(gateway: Gateway, answer: Answer) -> dict[str, Any]:
    return gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]


@BOTH
def test_what_is_masked_never_reaches_the_provider_and_the_rest_is_as_sent(path, client, gateway, provider):
    raw = json.dumps(chat("I am joe@example.com", metadata={"case": "mask"}, temperature=1.0), indent=1).encode()
    answer = client.ask(post(path, raw, gateway.key))
    assert answer.status == 200
    assert last(provider).body == raw.replace(b"joe@example.com", b"[REDACTED]")
    leaf = decided(gateway, answer)
    assert leaf["changed"] == [{"rule": "asks/mask", "field": "messages[0].content", "count": 1}]
    received, sent = leaf["payload"]
    assert received["sha256"] == digest("request", raw).sha256
    assert sent["sha256"] == digest("request_upstream", last(provider).body).sha256 != received["sha256"]


def test_a_compressed_body_is_changed_and_sent_plain(client, gateway, provider):
    import gzip

    raw = json.dumps(chat("I am joe@example.com", metadata={"case": "mask"})).encode()
    answer = client.ask(post(CHAT, gzip.compress(raw), gateway.key, content_encoding="gzip"))
    assert answer.status == 200
    assert last(provider).body == raw.replace(b"joe@example.com", b"[REDACTED]")
    assert last(provider).header("content-encoding") is None


def test_at_the_intercept_door_too(gateway, provider):
    with gateway.connect("api.anthropic.com") as tunnel:
        answer = tunnel.ask(post(MESSAGES, chat("I am joe@example.com", metadata={"case": "mask"}), "client-key"))
    assert answer.status == 200
    assert b"joe" not in last(provider).body


@BOTH
@STREAM
def test_a_placeholder_comes_back_in_the_answer(path, stream, client, gateway, provider):
    answer = ask(client, gateway, "hide", "I am joe@example.com[[split=7]]", path, stream=stream)
    assert b"[VALUE_1]" in last(provider).body
    assert b"joe" not in last(provider).body
    assert said(answer, path) == "You said: I am joe@example.com"


@BOTH
@STREAM
def test_an_answer_is_cleaned_whole_and_event_by_event(path, stream, client, gateway, provider):
    answer = ask(client, gateway, "clean", "[[say=Ask joe@x.com or eve@y.com today]]", path, stream=stream)
    assert said(answer, path) == "Ask [REDACTED] or [REDACTED] today"
    (outcome,) = gateway.leaves("outcome", answer.headers["x-jupiter-evidence-id"])
    assert outcome["changed"] == [{"rule": "answers/clean", "field": "response.content", "count": 2}]
    assert outcome["guardrail"][0]["rule"] == "clean"
    assert outcome["tags"] == {"k": "cleaned"}
    delivered = next(p for p in outcome["payload"] if p["role"] == "delivered")
    assert delivered["sha256"] == digest("delivered", answer.body).sha256


@BOTH
@STREAM
def test_an_answer_in_which_nothing_is_found_is_the_bytes_the_provider_sent(path, stream, client, gateway, provider):
    answer = ask(client, gateway, "clean", "[[say=nothing to see]]", path, stream=stream)
    assert answer.body == last(provider).sent


def test_a_stream_that_is_cleaned_is_not_held_back_whole(client, gateway):
    client.send(post(CHAT, chat("[[events=200]][[gap_ms=5]]", metadata={"case": "clean"}, stream=True), gateway.key))
    _, headers = client.head()
    pieces = list(client.pieces(headers))
    assert len(pieces) > 100


@STREAM
def test_a_rule_that_reads_the_answer_decides_before_any_of_it_passes(stream, provider, holding):
    with Client(holding.port) as client:
        cleaned = ask(client, holding, "held", "[[say=Ask joe@x.com now]]", stream=stream)
        assert said(cleaned, CHAT) == "Ask <m> now"
        assert f"cleaned for lab call={cleaned.headers['x-jupiter-evidence-id']}" in holding.log
        untouched = ask(client, holding, "held", "[[say=Ask eve@x.com now]]", stream=stream)
        assert untouched.body == last(provider).sent


@pytest.mark.parametrize(
    ("case", "fields", "change"),
    [
        ("set", {}, {"max_tokens": 7}),
        ("drop", {"user": "u"}, {}),
        ("brief", {}, {"seed": 7, "text": "Be brief. hello Thanks."}),
    ],
)
def test_fields_are_set_and_dropped_and_the_prompt_extended(case, fields, change, client, gateway, provider):
    answer = ask(client, gateway, case, **fields)
    assert answer.status == 200
    text = change.pop("text", "hello")
    assert json.loads(last(provider).body) == {**chat(text, metadata={"case": case}), **change}
    assert all(one["rule"] == f"asks/{case}" for one in decided(gateway, answer)["changed"])


def test_a_call_is_routed_to_another_provider_and_model(client, gateway, other):
    answer = ask(client, gateway, "move")
    assert answer.headers["x-jupiter-provider"] == "other"
    assert json.loads(last(other).body) == chat(model="rehearsal-2", metadata={"case": "move"})
    assert last(other).header("authorization") == "Bearer other-key"
    assert decided(gateway, answer)["route"] == {
        "strategy": "policy",
        "rule": "asks/move",
        "model": "rehearsal-2",
        "reason": "dear",
    }


def test_a_fallback_is_asked_when_the_named_provider_does_not_answer(client, gateway):
    assert ask(client, gateway, "fall").headers["x-jupiter-provider"] == "other"


@pytest.mark.parametrize(
    ("case", "code", "logged"),
    [
        ("broken", "policy_unavailable", "what is left by asks/broken is no valid call"),
        ("nobody", "no_provider", "rule `asks/nobody` routes where nobody answers"),
    ],
)
def test_what_cannot_be_carried_out_refuses_the_call_and_names_the_rule_in_the_log_only(
    case, code, logged, client, gateway, provider
):
    seen = provider.journal.seen
    answer = ask(client, gateway, case, metadata={"to": "nowhere"})
    assert (answer.status, answer.code) == (503, code)
    assert b"asks" not in answer.body
    assert logged in gateway.log
    assert provider.journal.seen == seen


@pytest.mark.parametrize(
    ("case", "passes", "code", "message"),
    [
        ("rate", 2, "rate_limited", "the limit of 2 requests per hour is reached"),
        ("spend", 1, "budget_exceeded", "no money left"),
        ("many", 1, "budget_exceeded", "the limit of 400 tokens per day is reached"),
    ],
)
def test_a_limit_of_a_rule_holds(case, passes, code, message, client, gateway, provider):
    """Cost and tokens are held at their bound while a call runs; here they are used up by one that took all of it."""
    text = "[[events=64]]" if case == "rate" else "[[events=150]]"
    answers = [
        ask(client, gateway, case, text, **({} if case == "rate" else {"max_tokens": 100})) for _ in range(passes + 1)
    ]
    assert [answer.status for answer in answers] == [200] * passes + [429]
    refused = answers[-1]
    assert (refused.code, refused.json()["error"]["message"]) == (code, message)
    assert int(refused.headers["retry-after"]) > 60
    assert refused.headers["x-jupiter-decision"] == "deny"
    leaf = decided(gateway, refused)
    assert leaf["guardrail"][-1] == {"policy": "asks", "rule": case, "verdict.type": "deny", "reason_code": code}
    held = decided(gateway, answers[0])["limits"]["demands"]
    assert [one["rule"] for one in held] == [f"asks/{case}"]


def test_scores_add_up_to_a_denial(client, gateway):
    answer = ask(client, gateway, "risky")
    assert (answer.status, answer.code) == (403, "risk")
    assert decided(gateway, answer)["score"] == 6


def test_a_rules_own_code_promises_no_retry(client, gateway):
    answer = ask(client, gateway, "own")
    assert (answer.status, answer.code, answer.headers["x-should-retry"]) == (403, "budget_exceeded", "false")
    assert answer.json()["error"]["type"] == "policy_violation"


def test_what_rules_want_said_is_said(client, gateway):
    answer = ask(client, gateway, "seen")
    assert "saw rehearsal-1 call=" in gateway.log
    assert "context.team=lab" in gateway.log
    assert decided(gateway, answer)["tags"] == {"m": "rehearsal-1"}


def test_an_alert_reaches_its_webhook(client, gateway, webhook):
    answer = ask(client, gateway, "tell")
    assert wait_until(lambda: webhook.bodies)
    (body,) = webhook.bodies
    assert (body["rule"], body["message"], body["call"]) == ("tell", "by lab", answer.headers["x-jupiter-evidence-id"])


def test_the_evidence_is_whole(gateway, holding):
    for one in (gateway, holding):
        report = one.report()
        assert report.findings == []
        assert not report.open_calls


def test_a_gateway_that_could_not_carry_out_a_rule_does_not_start(provider, tmp_path):
    action = "{type: route, provider: rehersal}"
    text = f'mpl_version: "1.0"\nname: p\nrules:\n  - {{name: r, conditions: [], actions: [{action}]}}\n'
    with start_gateway(tmp_path, provider.port, Setup(policies={"p.yaml": text}, ready=False)) as gateway:
        assert gateway.process.wait(60) == 2
        assert "rule `r` routes to `rehersal`, which is no provider here" in gateway.log


@BOTH
def test_what_a_redaction_leaves_is_asked_about_again(
    path, client: Client, gateway: Gateway, provider: RehearsalThread
):
    """Row PB-15 of the faults: what is taken out joins what another rule denies."""
    seen = provider.journal.seen
    answer = ask(client, gateway, "join", "pass@@phrase", path)
    assert answer.status == 403
    assert b"no such words" in answer.body
    assert provider.journal.seen == seen
    (leaf,) = gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])
    assert (leaf["verdict"], leaf["outcome"]["code"]) == ("deny", "words")
    assert ask(client, gateway, "join", "pass@@port", path).status == 200
    assert b"passport" in provider.journal.entries[-1].body
