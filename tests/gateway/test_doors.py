"""Both doors on one port, against a real provider on loopback: what arrives there, and what comes back."""

import json

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_a_json_call_arrives_and_comes_back_byte_for_byte(
    path, client: Client, gateway: Gateway, provider: RehearsalThread
):
    body = json.dumps(chat("[[odd_json]] hej"), indent=2, separators=(" , ", " : ")).encode() + b"  \n"
    answer = client.ask(post(path + "?beta=true", body, gateway.key))
    arrived = provider.journal.entries[-1]
    assert answer.status == 200
    assert arrived.body == body
    assert arrived.target == path + "?beta=true"
    assert answer.body == arrived.sent
    assert arrived.header("authorization" if "chat" in path else "x-api-key").endswith("provider-key")
    assert gateway.key not in str(arrived.headers)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("knobs", ["", "[[comments]]", "[[split=1]]", "[[comments]][[split=3]]", "[[no_done]]"])
def test_a_stream_comes_back_byte_for_byte(path, knobs, client: Client, gateway: Gateway, provider: RehearsalThread):
    answer = client.ask(post(path, chat(f"{knobs} hej", stream=True), gateway.key))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body == provider.journal.entries[-1].sent


def test_events_pass_as_they_come(client: Client, gateway: Gateway):
    client.send(post(PATHS["openai"], chat("[[events=5]][[gap_ms=150]]", stream=True), gateway.key))
    _, headers = client.head()
    pieces = list(client.pieces(headers))
    assert len(pieces) >= 5, "events were held back and came together"


def test_the_connection_is_kept_for_the_next_call(client: Client, gateway: Gateway):
    for _ in range(3):
        assert client.ask(post(PATHS["openai"], chat(), gateway.key)).status == 200
        assert client.ask(post(PATHS["openai"], chat(stream=True), gateway.key)).status == 200


def test_the_answer_says_who_answered_and_what_it_cost(client: Client, gateway: Gateway):
    answer = client.ask(post(PATHS["openai"], chat(), gateway.key, X_Request_ID="mine-1"))
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["x-jupiter-provider"] == "rehearsal"
    assert answer.headers["x-jupiter-decision"] == "allow"
    assert answer.headers["x-jupiter-cost-usd"].startswith("0.0000")
    assert answer.headers["x-ratelimit-limit-requests"] == "1000000"
    assert "set-cookie" not in answer.headers
    assert "openai-organization" not in answer.headers


@pytest.mark.parametrize("anthropic", [False, True], ids=["openai", "anthropic"])
def test_models_are_listed_in_the_callers_shape(anthropic, client: Client, gateway: Gateway):
    headers = {"anthropic_version": "2023-06-01"} if anthropic else {}
    listed = client.ask(get("/v1/models", gateway.key, **headers)).json()
    assert "rehearsal-1" in [model["id"] for model in listed["data"]]
    assert ("has_more" in listed) is anthropic


@pytest.mark.parametrize(
    ("host", "path"), [("api.openai.com", PATHS["openai"]), ("api.anthropic.com", PATHS["anthropic"])]
)
@pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])
def test_an_intercepted_call_is_governed_like_any_other(
    host, path, stream, gateway: Gateway, provider: RehearsalThread
):
    with gateway.connect(host) as client:
        answer = client.ask(post(path, chat("through the tunnel", stream=stream), "clients-own-key"))
    arrived = provider.journal.entries[-1]
    assert answer.status == 200
    assert answer.body == arrived.sent
    assert "clients-own-key" not in str(arrived.headers)
    decision = gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]
    assert decision["door"] == "intercept"


def test_absolute_form_is_the_intercept_door_too(client: Client, gateway: Gateway, provider: RehearsalThread):
    raw = post("http://api.openai.com" + PATHS["openai"], chat(), Proxy_Authorization=gateway.proxy_authorization())
    assert client.ask(raw).status == 200


def test_a_client_that_hangs_up_takes_the_provider_with_it(gateway: Gateway, provider: RehearsalThread):
    with Client(gateway.port) as client:
        client.send(post(PATHS["openai"], chat("[[events=500]][[gap_ms=20]]", stream=True), gateway.key))
        _, headers = client.head()
        next(client.pieces(headers))
        entry = provider.journal.entries[-1]
    assert wait_until(lambda: entry.disconnected_s is not None, 2)
    call_id = headers["x-jupiter-evidence-id"]
    assert wait_until(lambda: gateway.leaves("outcome", call_id))
    assert gateway.leaves("outcome", call_id)[0]["outcome"]["status"] == "client_closed"


def test_a_provider_that_lingers_after_the_end_does_not_delay_it(client: Client, gateway: Gateway):
    answer = client.ask(post(PATHS["openai"], chat("[[linger]] hej", stream=True), gateway.key))
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert client.ask(post(PATHS["openai"], chat(), gateway.key)).status == 200


def test_every_call_has_its_leaves_and_all_of_them_verify(client: Client, gateway: Gateway):
    answer = client.ask(post(PATHS["openai"], chat("remember"), gateway.key))
    leaves = gateway.leaves(call_id=answer.headers["x-jupiter-evidence-id"])
    assert [leaf["kind"] for leaf in leaves] == ["decision", "outcome"]
    decision, outcome = leaves
    roles = {entry["role"]: entry["sha256"] for leaf in leaves for entry in leaf["payload"]}
    assert roles["request"] == roles["request_upstream"]
    assert roles["response"] == roles["delivered"]
    assert decision["principal"]["user"].startswith("hmac:")
    assert outcome["cost"]["usage"] == "provider"
    assert gateway.report().findings == []


def test_nothing_a_client_says_chooses_where_a_call_goes(client: Client, gateway: Gateway, provider: RehearsalThread):
    """Rows of other gateways' advisories: a base URL in the body or in a header sent the provider's key to a stranger."""
    elsewhere = "http://127.0.0.1:9/v1"
    fields = dict.fromkeys(("api_base", "base_url", "custom_host", "extra_headers", "fallbacks"), elsewhere)
    headers = {"x_portkey_custom_host": elsewhere, "x_forwarded_host": elsewhere, "Cookie": "a=b", "X_User": "root"}
    raw = post(PATHS["openai"], chat(**fields), gateway.key, **headers).replace(b"Host: gateway", b"Host: localhost:1")
    answer = client.ask(raw)
    assert answer.status == 200
    arrived = provider.journal.entries[-1]
    assert arrived.header("host") == f"127.0.0.1:{provider.port}"
    assert arrived.header("cookie") is None
    assert arrived.header("x-forwarded-host") is None
    who = gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]["principal"]
    assert who["key_id"] == gateway.key.split("_")[1]


@pytest.mark.parametrize(
    ("knobs", "status", "code"),
    [
        ("[[close]]", 502, "provider_error"),
        ("[[cut_after=20]]", 502, "provider_error"),
        ("[[html]]", 502, "provider_invalid_response"),
        ("[[gzip]]", 502, "provider_invalid_response"),
        ("[[status=503]]", 503, "rehearsed_503"),
        ("[[status=429]]", 429, "rehearsed_429"),
    ],
)
def test_a_provider_that_fails_is_told_of_in_the_clients_dialect(knobs, status, code, client: Client, gateway: Gateway):
    answer = client.ask(post(PATHS["openai"], chat(knobs), gateway.key))
    assert (answer.status, answer.code) == (status, code)
    if status in (429, 503):
        assert answer.headers["retry-after"] == "7"
    outcome = gateway.leaves("outcome", answer.headers["x-jupiter-evidence-id"])[0]
    assert outcome["outcome"]["status"] == "provider_error"
    assert client.ask(post(PATHS["openai"], chat(), gateway.key)).status == 200


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_a_stream_that_breaks_off_ends_with_an_error_event(
    path, client: Client, gateway: Gateway, provider: RehearsalThread
):
    answer = client.ask(post(path, chat("[[events=9]][[cut_after=6]]", stream=True), gateway.key))
    sent = provider.journal.entries[-1].sent
    assert answer.body.startswith(sent)
    last = answer.body[len(sent) :]
    assert json.loads(last.partition(b"data: ")[2])["error"]["message"]
    outcome = gateway.leaves("outcome", answer.headers["x-jupiter-evidence-id"])[0]
    assert outcome["outcome"]["status"] == "provider_error"
    assert outcome["cost"]["usage"] == "estimate"


def test_a_provider_that_cannot_be_reached_is_a_503(provider: RehearsalThread, tmp_path):
    overrides = {"providers": {"rehearsal": {"base_url": "http://127.0.0.1:9/v1"}}}
    with start_gateway(tmp_path, provider.port, Setup(overrides=overrides)) as gateway, Client(gateway.port) as client:
        for _ in range(2):
            answer = client.ask(post(PATHS["anthropic"], chat(), gateway.key))
            assert (answer.status, answer.json()["error"]["type"]) == (503, "overloaded_error")
            assert int(answer.headers["retry-after"]) >= 1
            outcome = gateway.leaves("outcome", answer.headers["x-jupiter-evidence-id"])[0]
            assert outcome["cost"]["nusd"] == 0, "what was never sent costs nothing"
        assert gateway.report().findings == []


def test_the_gateways_own_credentials_are_not_discussed_with_clients(provider: RehearsalThread, tmp_path):
    overrides = {"providers": {"rehearsal": {"api_key": "not-the-right-key"}}}
    with start_gateway(tmp_path, provider.port, Setup(overrides=overrides)) as gateway, Client(gateway.port) as client:
        answer = client.ask(post(PATHS["openai"], chat(), gateway.key))
    assert (answer.status, answer.code) == (502, "provider_error")
    assert b"not-" not in answer.body


def test_a_blind_tunnel_is_relayed_untouched_and_recorded(provider: RehearsalThread, tmp_path):
    overrides = {"intercept": {"unknown_hosts": "tunnel", "private_tunnels": True}}
    with start_gateway(tmp_path, provider.port, Setup(overrides=overrides)) as gateway:
        with Client(gateway.port) as client:
            target = f"127.0.0.1:{provider.port}"
            authorization = gateway.proxy_authorization()
            client.send(
                f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nProxy-Authorization: {authorization}\r\n\r\n".encode()
            )
            assert client.head()[0] == 200
            request = get("/v1/models", "provider-key")
            answer = client.ask(request)
            assert answer.status == 200
        for port in (gateway.port, gateway.admin_port):
            for host in ("127.0.0.1", "127.0.0.2", "localhost", "[::1]"):
                with Client(gateway.port) as client:
                    line = f"Host: x\r\nProxy-Authorization: {authorization}\r\n\r\n"
                    client.send(f"CONNECT {host}:{port} HTTP/1.1\r\n{line}".encode())
                    assert client.head()[0] == 403, "no tunnel leads back to the gateway or its admin port"
        assert wait_until(lambda: gateway.leaves("tunnel"))
        (leaf,) = gateway.leaves("tunnel")
        assert leaf["tunnel"]["bytes_up"] == len(request)
        assert leaf["tunnel"]["bytes_down"] > len(answer.body)
        assert gateway.report().findings == []
