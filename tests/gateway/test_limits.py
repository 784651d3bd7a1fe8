"""Limits in a running gateway: what is held, what is charged, and streams that end when there is no more."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support.cli import jupiter
from support.gateway import Gateway, Setup, free_port, start_gateway
from support.wire import Answer, Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT, MESSAGES, RESPONSES, OLLAMA = "/v1/chat/completions", "/v1/messages", "/v1/responses", "/api/chat"
STREAMS = {
    "openai chat": (CHAT, {}),
    "anthropic": (MESSAGES, {}),
    "openai responses": (RESPONSES, {"input": "[[events=3000]] go on", "max_output_tokens": 3000}),
    "ollama": (OLLAMA, {"options": {"num_predict": 3000}}),
}
"""What is asked for a long answer."""


def an_answer(port: int, path: str, body: dict, key: str) -> Answer:
    with Client(port) as client:
        return client.ask(post(path, body, key))


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A token costs a millionth of a dollar, whichever way it goes."""
    openai = {"type": "openai", "base_url": f"http://127.0.0.1:{provider.port}/v1", "api_key": "provider-key"}
    overrides = {
        "providers": {"openai": {**openai, "models": ["gpt-5"]}},
        "limits": {
            "by_team": {
                "lab": {
                    "tokens_per_day": 1_000_000,
                    "usd_per_month": {"limit": 10, "window": "calendar", "zone": "Europe/Berlin"},
                }
            },
            "by_model": {
                "gpt-5": {"usd_per_day": 10},
                **{f"rehearsal-short-{number}": {"output_tokens_per_day": 900} for number in range(len(STREAMS))},
                "rehearsal-one": {"concurrent_requests": 1},
                "rehearsal-dear": {"usd_per_day": 0.001},
            },
            "global": {"requests_per_minute": {"limit": 5, "enforcement": "shadow"}},
        },
        "processing": {
            "costs": {
                "overrides": {
                    f"rehearsal-{name}": {"input": 1, "output": 1}
                    for name in ("1", "one", "dear", "two", *(f"short-{number}" for number in range(len(STREAMS))))
                }
            }
        },
    }
    with start_gateway(tmp_path_factory.mktemp("limits"), provider.port, Setup(overrides=overrides)) as running:
        yield running


def outcome(gateway: Gateway, answer: Answer) -> dict:
    return gateway.leaves("outcome", answer.headers["x-jupiter-evidence-id"])[0]


def decision(gateway: Gateway, answer: Answer) -> dict:
    return gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]


def test_an_answer_tells_how_the_callers_own_limits_stand_and_nothing_of_those_it_shares(
    client: Client, gateway: Gateway
):
    answer = client.ask(post(CHAT, chat(), gateway.key))
    assert answer.headers["x-ratelimit-limit-requests"] == "1000000"  # its user's; the global one is tighter
    assert 999_000 < int(answer.headers["x-ratelimit-remaining-requests"]) < 1_000_000
    assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
    assert not [name for name in answer.headers if name.endswith("-tokens") or name.startswith("x-jupiter-budget")]


def test_a_call_is_charged_for_what_it_took(client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, chat("one two three"), gateway.key))
    usage = answer.json()["usage"]
    charged = outcome(gateway, answer)["cost"]
    assert charged["nusd"] == 1000 * usage["total_tokens"]
    assert charged["usage"] == "provider"
    assert answer.headers["x-jupiter-cost-usd"] == f"{usage['total_tokens'] / 1e6:.6f}"


def test_where_limits_bound_an_answer_it_gets_the_cap_it_is_held_at(client: Client, gateway: Gateway):
    body = chat()
    del body["max_tokens"]
    answer = client.ask(post(CHAT, body, gateway.key))
    leaf = decision(gateway, answer)
    assert {"rule": "limit/tokens_per_day", "field": "max_completion_tokens", "count": 1} in leaf["changed"]
    assert leaf["limits"]["output_tokens_max"] == 4096
    received, sent = (payload["len"] for payload in leaf["payload"])
    assert sent == received + len(b',"max_completion_tokens":4096')


def test_a_cap_of_the_clients_own_is_left_as_it_is(client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, chat(), gateway.key))
    leaf = decision(gateway, answer)
    assert "changed" not in leaf
    assert len({payload["sha256"] for payload in leaf["payload"]}) == 1


def test_a_stream_is_charged_for_what_it_thought_unseen_though_its_client_asks_for_no_count(
    client: Client, gateway: Gateway
):
    """OpenAI bills what its models think, shows nothing of it, and tells of a stream only if it is asked to."""
    body = chat("[[say=one two three]]", model="gpt-5", stream=True)
    asked = client.ask(post(CHAT, {**body, "stream_options": {"include_usage": True}}, gateway.key))
    answer = client.ask(post(CHAT, body, gateway.key))
    assert b'"prompt_tokens"' in asked.body and b'"prompt_tokens"' not in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert outcome(gateway, answer)["cost"]["usage"] == "provider"
    assert outcome(gateway, answer)["cost"]["nusd"] == outcome(gateway, asked)["cost"]["nusd"] > 0
    changed = decision(gateway, answer)["changed"]
    assert [change["field"] for change in changed] == ["stream_options.include_usage"]
    assert "changed" not in decision(gateway, asked)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_ends_validly_when_its_limit_is_spent(name: str, gateway: Gateway, provider: RehearsalThread):
    path, more = STREAMS[name]
    model = f"rehearsal-short-{list(STREAMS).index(name)}"
    body = {**chat("[[events=3000]] go on", model=model, max_tokens=3000, stream=True), **more}
    answer = an_answer(gateway.port, path, body, gateway.key)
    assert answer.status == 200
    text = answer.body.decode()
    ended = {
        CHAT: '"finish_reason":"length"',
        MESSAGES: '"stop_reason":"max_tokens"',
        RESPONSES: '"reason":"max_output_tokens"',
        OLLAMA: '"done_reason":"length"',
    }
    assert ended[path] in text
    leaf = outcome(gateway, answer)
    assert leaf["outcome"]["status"] == "incomplete"
    assert 640 < leaf["gen_ai"]["usage.output_tokens"] <= 900
    assert leaf["cost"]["usage"] == "estimate"


def test_beyond_a_limit_on_running_calls_a_call_is_refused_and_then_let_in(gateway: Gateway):
    slow = chat("[[delay_ms=1500]] hello", model="rehearsal-one")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: an_answer(gateway.port, CHAT, slow, gateway.key), range(3)))
    assert sorted(answer.status for answer in answers) == [200, 429, 429]
    refused = next(answer for answer in answers if answer.status == 429)
    assert refused.code == "concurrency_limited"
    assert refused.headers["retry-after"] == "1"
    assert an_answer(gateway.port, CHAT, chat(model="rehearsal-one"), gateway.key).status == 200


def test_a_call_that_is_more_than_its_budget_is_not_told_to_come_back(client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, chat(model="rehearsal-dear", max_tokens=2000), gateway.key))
    assert (answer.status, answer.code) == (429, "budget_exceeded")
    assert "$0.001" in answer.json()["error"]["message"]
    assert "retry-after" not in answer.headers
    assert answer.headers["x-should-retry"] == "false"


def test_what_only_shadows_lets_everything_pass(client: Client, gateway: Gateway):
    answers = [client.ask(post(CHAT, chat(model="rehearsal-two"), gateway.key)) for _ in range(8)]
    assert [answer.status for answer in answers] == [200] * 8
    over = [entry for entry in decision(gateway, answers[-1])["limits"]["taken"] if entry.get("over")]
    assert [entry["name"] for entry in over] == ["requests_per_minute"]


def test_a_client_that_hangs_up_is_charged_for_what_had_come(gateway: Gateway):
    with Client(gateway.port) as client:
        client.send(post(CHAT, chat("[[events=500]] [[gap_ms=20]]", max_tokens=600, stream=True), gateway.key))
        client.head()
        client.socket.recv(1)

    def left() -> list[dict]:
        return [leaf for leaf in gateway.leaves("outcome") if leaf["outcome"]["status"] == "client_closed"]

    assert wait_until(left)
    (leaf,) = left()
    assert leaf["cost"]["usage"] == "estimate"
    assert 0 < leaf["gen_ai"]["usage.output_tokens"] < 300


def limits(gateway: Gateway, *arguments: str) -> CompletedProcess[str]:
    return jupiter("limits", *arguments, "-c", str(gateway.config))


def test_how_limits_stand_is_shown_simulated_and_reset(gateway: Gateway, client: Client):
    client.ask(post(CHAT, chat(model="rehearsal-one"), gateway.key))
    shown = json.loads(
        limits(gateway, "show", "--user", "alice", "--model", "rehearsal-one", "--format", "json").stdout
    )
    rows = {f"{row['subject']} {row['limit']}": row for row in shown}
    assert rows["team:lab tokens_per_day"]["taken"] > 0
    assert rows["team:lab tokens_per_day"]["held"] == 0
    assert rows["team:lab usd_per_month"]["period"].endswith("@Europe/Berlin")
    assert rows["model:rehearsal-one concurrent_requests"]["taken"] == 0
    text = limits(gateway, "show")
    assert "user:alice" in text.stdout
    assert "model:rehearsal-dear" in text.stdout
    assert {line.split()[1]: line.split()[2][0] for line in text.stdout.splitlines()}["usd_per_month"] == "$"
    assert not re.search(r"\b\d+s\b", text.stdout), "a window is said in words"

    call = ("simulate", "--user", "alice", "--model", "rehearsal-dear", "--input-tokens", "900")
    assert limits(gateway, *call, "--output-tokens", "50").returncode == 0
    refused = limits(gateway, *call, "--output-tokens", "500")
    assert refused.returncode == 1
    assert "would block" in refused.stdout
    nameless = limits(gateway, "simulate", "--user", "alice", "--input-tokens", "900")
    assert (nameless.returncode, nameless.stderr) == (0, "what it takes of money is not known: name its --model\n")
    priceless = limits(gateway, "simulate", "--user", "alice", "--model", "unheard-of")
    assert (priceless.returncode, "no known price" in priceless.stderr) == (1, True)

    nobody = limits(gateway, "show", "--team", "nobody")
    assert (nobody.stdout, "none of these is under a limit" in nobody.stderr) == ("", True)

    assert limits(gateway, "reset").returncode == 2
    done = limits(gateway, "reset", "--team", "lab")
    assert (done.returncode, done.stderr.splitlines()) == (
        0,
        ["team:lab tokens_per_day is reset", "team:lab usd_per_month is reset"],
    )
    (row, *_) = json.loads(limits(gateway, "show", "--team", "lab", "--format", "json").stdout)
    assert row["taken"] == 0
    (leaf,) = gateway.leaves("limits.reset")
    assert leaf["detail"] == {"limits": 2, "team": "lab"}


def test_a_reset_takes_the_token(gateway: Gateway):
    with Client(gateway.admin_port) as admin:
        answer = admin.ask(post("/limits?team=lab", b"", host="localhost", x_jupiter_token="guessed"))
    assert answer.status == 403
    with Client(gateway.admin_port) as admin:
        assert admin.ask(get("/limits?planet=earth", host="localhost")).status == 400


def test_no_page_in_a_browser_can_read_what_users_have_taken(gateway: Gateway):
    def status(request: bytes) -> int:
        with Client(gateway.admin_port) as admin:
            return admin.ask(request).status

    assert status(get("/limits", host=f"127.0.0.1:{gateway.admin_port}")) == 200
    assert status(get("/limits", host=f"evil.example:{gateway.admin_port}")) == 403, "a name bent to this address"
    assert status(get("/limits", host="localhost", sec_fetch_site="cross-site")) == 403
    assert status(post("/limits", b"", host="localhost", sec_fetch_site="cross-site")) == 403


def test_without_a_gateway_the_command_says_so(tmp_path: Path):
    (tmp_path / "jupiter.yaml").write_text(
        "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"
        f"proxy: {{admin_address: 127.0.0.1:{free_port()}}}\n"
    )
    result = jupiter("limits", "show", "-c", str(tmp_path / "jupiter.yaml"))
    assert result.returncode == 3
    assert "no gateway answers" in result.stderr
