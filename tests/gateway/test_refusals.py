"""What is refused, in whose words, and that the provider never hears of it."""

import pytest
from support.gateway import Gateway, Setup, create_key, start_gateway
from support.wire import Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


@pytest.fixture(autouse=True)
def _the_provider_hears_nothing(provider: RehearsalThread):
    seen = provider.journal.seen
    yield
    assert provider.journal.seen == seen


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_key"),
        ({"Authorization": "Bearer wrong"}, "invalid_key"),
        ({"Authorization": "Bearer jup_aaaaaaaaaaaa_" + "A" * 43}, "invalid_key"),
        ({"Authorization": "Basic abc"}, "invalid_key"),
        ({"X_API_Key": "wrong"}, "invalid_key"),
        ({"Authorization": "Bearer one", "X_API_Key": "other"}, "conflicting_keys"),
    ],
    ids=["none", "nonsense", "unknown", "scheme", "x-api-key", "conflict"],
)
def test_a_bad_key_is_refused_before_the_body_is_read(headers, code, client: Client):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 100000\r\n\r\n"
    answer = client.ask(head.encode())  # the body never comes
    assert (answer.status, answer.code) == (401, code)
    assert answer.headers["x-should-retry"] == "false"
    assert answer.headers["connection"] == "close"


def test_two_authorization_headers_are_refused(client: Client, gateway: Gateway):
    raw = post(CHAT, chat(), gateway.key).replace(b"Host:", b"Authorization: Bearer x\r\nHost:", 1)
    assert client.ask(raw).code == "conflicting_keys"


def test_the_error_is_in_the_dialect_of_the_path(client: Client):
    answer = client.ask(post(MESSAGES, chat()))
    assert answer.status == 401
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "authentication_error"


def test_a_refused_small_body_leaves_the_connection_usable(client: Client, gateway: Gateway):
    assert client.ask(post(CHAT, chat())).status == 401
    assert client.ask(post(CHAT, b"{", gateway.key)).status == 400


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"[1]", "invalid_value", None),
        (b'{"model":"a","model":"b"}', "ambiguous_body", "model"),
        (b'{"model":"a","mod\\u0065l":"b"}', "ambiguous_body", "model"),
        (b'{"model":"m","messages":[{"role":"user","role":"x"}]}', "ambiguous_body", "messages[0].role"),
        (b'{"temperature":NaN}', "invalid_json", None),
        (b'{"max_tokens":1e400}', "invalid_json", None),
        (b'{"max_tokens":9007199254740993}', "ambiguous_body", None),
        (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", "ambiguous_body", None),
        (b"[" * 100_000, "ambiguous_body", None),
        (b'{"model":"\xff"}', "invalid_json", None),
        (b'\xef\xbb\xbf{"model":"m"}', "invalid_json", None),
        ('{"model":"m"}'.encode("utf-16"), "invalid_json", None),
        (b'{"model":"\\ud800"}', "invalid_json", None),
        (b'{"model":7,"messages":[{"role":"user"}]}', "invalid_value", "model"),
        (b'{"model":"m","messages":[]}', "invalid_value", "messages"),
        (b'{"model":"m","messages":[{"role":"user","content":5}]}', "invalid_value", "messages[0].content"),
        (b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream":"yes"}', "invalid_value", "stream"),
        (b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":true}', "invalid_value", "max_tokens"),
    ],
)
def test_a_body_without_one_reading_is_refused(body, code, param, client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, body, gateway.key))
    assert (answer.status, answer.code, answer.json()["error"]["param"]) == (400, code, param)


@pytest.mark.parametrize(
    "path",
    [
        "//v1/chat/completions", "/v1//chat/completions", "/v1/chat/completions/", "/v1/./chat/completions",
        "/v1/x/../chat/completions", "/v1/chat/c%6fmpletions", "/v1%2fchat/completions", "/V1/chat/completions",
        "/v1/chat/completions;x", "/v1/chat/completions%00", "/v1\\chat\\completions", "/v1/chat/completions%20",
        "/v1/chat", "/openai/deployments/x/chat/completions", "/v1/files/", "/v1/batches/a/b", "/v1/fine_tuning/jobs", "/", "/metrics", "/admin",
    ],
)  # fmt: skip
def test_every_other_spelling_of_a_path_is_unknown(path, client: Client, gateway: Gateway):
    answer = client.ask(post(path, chat(), gateway.key))
    assert (answer.status, answer.code) == (404, "unknown_path")
    assert gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]["outcome"]["status"] == "refused"


def test_an_unknown_path_needs_no_key_to_be_unknown(client: Client):
    assert client.ask(get("/nowhere")).status == 404


def test_a_wrong_method_is_refused(client: Client, gateway: Gateway):
    assert client.ask(get(CHAT, gateway.key)).status == 405


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content_Encoding": "deflate"}, 415, "unsupported_encoding"),
        ({"Content_Encoding": "gzip"}, 400, "ambiguous_body"),
        ({"Content_Encoding": "base64"}, 415, "unsupported_encoding"),
        ({"Upgrade": "websocket"}, 426, "upgrade_refused"),
        ({"Upgrade": "h2c"}, 426, "upgrade_refused"),
    ],
)
def test_what_cannot_be_read_or_governed_is_refused(headers, status, code, client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, chat(), gateway.key, **headers))
    assert (answer.status, answer.code) == (status, code)


def test_a_body_over_the_limit_is_refused_at_its_declaration(client: Client, gateway: Gateway):
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nContent-Length: 99999999\r\n\r\n"
    assert client.ask(head.encode()).code == "request_too_large"


def test_a_chunked_body_over_the_limit_is_refused_as_it_grows(client: Client, gateway: Gateway):
    client.send(
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    try:
        for _ in range(11 * 16):
            client.send(chunk)
    except OSError:
        pass  # refused and closed while we were still sending
    assert client.answer().code == "request_too_large"


@pytest.mark.parametrize("size", [70_000, 20_000_000])
def test_an_endless_head_is_cut_off(size, gateway: Gateway):
    with Client(gateway.port) as client:
        try:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: ")
            for _ in range(size // 10_000):
                client.send(b"a" * 10_000)
        except OSError:
            return  # closed while we were still sending
        assert client.answer().status == 431
        assert client.is_closed()


def test_too_many_headers_are_refused(client: Client):
    raw = get("/health", **{f"X_{number}": "1" for number in range(120)})
    assert client.ask(raw).status == 431


def test_two_hosts_and_trailers_are_refused(gateway: Gateway):
    with Client(gateway.port) as client:
        assert client.ask(b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status == 400
    with Client(gateway.port) as client:
        raw = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert client.ask(raw.encode() + b"2\r\n{}\r\n0\r\nX-T: 1\r\n\r\n").status == 400


def test_a_client_too_old_for_streams_is_told_so(gateway: Gateway):
    with Client(gateway.port) as client:
        raw = post(CHAT, chat(stream=True), gateway.key).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        assert client.ask(raw).code == "bad_request"
    with Client(gateway.port) as client:
        assert client.ask(b"GET /health HTTP/1.0\r\nHost: x\r\n\r\n").status == 200
        assert client.is_closed()


def test_what_is_not_http_is_answered_in_json(gateway: Gateway):
    with Client(gateway.port) as client:
        answer = client.ask(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n")
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "bad_request"
    assert "server" not in answer.headers


def test_an_unknown_model_is_not_found(client: Client, gateway: Gateway):
    answer = client.ask(post(CHAT, chat(model="gpt-9"), gateway.key))
    assert (answer.status, answer.code) == (404, "model_not_found")
    answer = client.ask(post(CHAT, chat(model="rehearsal-unpriced"), gateway.key))
    assert (answer.status, answer.code) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("target", "authorization", "status"),
    [
        ("api.openai.com:443", None, 407),
        ("api.openai.com:443", "wrong", 407),
        ("example.org:443", "right", 403),
        ("127.0.0.1:22", "right", 403),
    ],
)
def test_a_connect_is_refused(target, authorization, status, client: Client, gateway: Gateway):
    line = ""
    if authorization is not None:
        line = f"Proxy-Authorization: {gateway.proxy_authorization(None if authorization == 'right' else 'wrong')}\r\n"
    client.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{line}\r\n".encode())
    answered, headers = client.head()
    assert answered == status
    assert headers["content-type"] == "application/json"


def test_the_server_name_must_be_the_host_of_the_connect(gateway: Gateway):
    with gateway.connect("api.openai.com", sni="api.anthropic.com") as client:
        answer = client.ask(post(CHAT, chat(), "own"))
    assert (answer.status, answer.code) == (403, "sni_mismatch")


def test_a_revoked_key_stops_on_an_open_connection(client: Client, gateway: Gateway):
    from click.testing import CliRunner

    from jupiter_addons.cli.keys import keys

    key = create_key(gateway.config, "mallory")
    assert client.ask(post(CHAT, b"{", key)).status == 400
    assert CliRunner().invoke(keys, ["revoke", key.split("_")[1], "-c", str(gateway.config)]).exit_code == 0
    assert wait_until(lambda: client.ask(post(CHAT, b"{", key)).status == 401, 1.5)


def test_unauthenticated_refusals_are_counted_not_recorded_one_by_one(gateway: Gateway):
    before = len(gateway.leaves("decision"))
    with Client(gateway.port) as client:
        for _ in range(20):
            assert client.ask(post(CHAT, chat())).status == 401
    assert wait_until(lambda: sum(leaf["codes"].get("missing_key", 0) for leaf in gateway.leaves("refusals")) >= 20)
    assert len(gateway.leaves("decision")) == before


def test_a_slow_head_is_cut_off(provider: RehearsalThread, tmp_path):
    setup = Setup(overrides={"proxy": {"limits": {"header_timeout": "400ms"}}})
    running = start_gateway(tmp_path, provider.port, setup)
    with running as gateway, Client(gateway.port) as silent, Client(gateway.port) as slow:
        slow.send(b"GET /health HTTP/1.1\r\nHos")
        assert silent.is_closed(3)
        assert slow.is_closed(3)


def test_beyond_the_most_connections_nobody_is_served(provider: RehearsalThread, tmp_path):
    with start_gateway(tmp_path, provider.port, Setup(overrides={"proxy": {"max_connections": 3}})) as gateway:
        held = [Client(gateway.port) for _ in range(3)]
        for one in held:
            assert one.ask(get("/health")).status == 200
        with Client(gateway.port) as fourth:
            assert fourth.answer().status == 503
        for one in held:
            one.socket.close()
        assert wait_until(lambda: _served(gateway))


def _served(gateway: Gateway) -> bool:
    try:
        with Client(gateway.port) as client:
            return client.ask(get("/health")).status == 200
    except (ConnectionError, TimeoutError):
        return False
