"""Opened tunnels live long: what changes meanwhile holds for their next request, and their streams end as all others do."""

import signal
from pathlib import Path

import pytest
import yaml
from ordeal.provider import Call, Out, Provider
from ordeal.scripts import first_then, hang, reset, status, stream_events
from support.cli import jupiter
from support.gateway import Gateway, Setup, create_key, start_gateway
from support.wire import Client, chat, post, wait_until

from jupiter_addons.host.dialling import is_local
from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"


def code(client: Client, **fields: object) -> int:
    return client.ask(post(CHAT, chat(**fields), "own")).status


def test_a_revoked_key_opens_nothing_in_a_tunnel_that_is_open(gateway: Gateway, provider: RehearsalThread):
    key = create_key(gateway.config, "mallory")
    with gateway.connect("api.openai.com", key=key) as client:
        assert code(client) == 200
        jupiter("keys", "revoke", key.split("_")[1], "-c", str(gateway.config)).check_returncode()
        assert wait_until(lambda: code(client) == 401)
        seen = provider.journal.seen
        assert code(client) == 401
        assert provider.journal.seen == seen


@pytest.mark.parametrize(
    "change", [{"enabled": False}, {"hosts": {"api.anthropic.com": "rehearsal"}}], ids=["door", "host"]
)
def test_what_a_reload_closes_is_closed_in_open_tunnels(change, provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port) as gateway, gateway.connect("api.openai.com") as client:
        assert code(client) == 200
        settings = yaml.safe_load(gateway.config.read_text())
        settings["intercept"] = {**settings["intercept"], **change}
        gateway.config.write_text(yaml.safe_dump(settings))
        gateway.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "reloaded;" in gateway.log)
        assert code(client) == 403


def test_a_connect_inside_a_tunnel_is_refused_and_changes_nothing(gateway: Gateway):
    with gateway.connect("api.openai.com") as client:
        again = (
            f"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: {gateway.proxy_authorization()}\r\n\r\n"
        )
        assert client.ask(again.encode()).status == 400
    with gateway.connect("api.openai.com") as client:
        assert code(client) == 200
    assert "Traceback" not in gateway.log
    assert gateway.leaves("tunnel") == []


def test_a_tunnel_can_be_asked_for_as_python_before_3_12_does(gateway: Gateway):
    with Client(gateway.port) as client:
        client.send(
            f"CONNECT api.openai.com:443 HTTP/1.0\r\nProxy-Authorization: {gateway.proxy_authorization()}\r\n\r\n".encode()
        )
        assert client.head()[0] == 200
        client.start_tls("api.openai.com", gateway.authority)
        assert [code(client) for _ in range(2)] == [200, 200]
        with Client(gateway.port) as nobody:
            nobody.send(b"CONNECT api.openai.com:443 HTTP/1.0\r\n\r\n")
            assert nobody.head()[0] == 407


@pytest.mark.parametrize("tunnel", [False, True], ids=["gateway", "intercept"])
def test_a_stream_that_a_shutdown_ends_is_told_so_and_the_record_is_what_was_delivered(tunnel: bool, tmp_path: Path):
    import hashlib

    async def endless(call: Call, out: Out) -> None:
        while True:
            await out.events(stream_events(call, "word")[1])
            await out.sleep(0.05)

    with Provider(endless) as provider:
        setup = Setup(overrides={"proxy": {"shutdown_timeout": "500ms"}})
        with start_gateway(tmp_path, provider.port, setup) as gateway:
            with gateway.connect("api.openai.com") if tunnel else Client(gateway.port) as client:
                client.send(post(CHAT, chat(stream=True), gateway.key))
                _, headers = client.head()
                pieces = client.pieces(headers)
                body = next(pieces)
                gateway.process.send_signal(signal.SIGTERM)
                body += b"".join(pieces)
            assert gateway.process.wait(60) == 0
            assert b'"not_ready"' in body.split(b"\n\n")[-2]
            (outcome,) = gateway.leaves("outcome", headers["x-jupiter-evidence-id"])
            delivered = next(one for one in outcome["payload"] if one["role"] == "delivered")
            assert delivered["sha256"] == hashlib.sha256(body).hexdigest()
            assert (outcome["outcome"]["status"], outcome["http"]["status"]) == ("interrupted", 200)
            assert "Traceback" not in gateway.log


def cost(gateway: Gateway, call: str) -> int:
    return gateway.leaves("outcome", call)[0]["cost"]["nusd"]


@pytest.mark.parametrize(("first", "then"), [(reset, None), (reset, status(503)), (hang, status(503))])
def test_an_attempt_that_was_sent_is_paid_for_whatever_came_of_the_next(first, then, tmp_path: Path):
    with Provider(first_then(first, then or reset)) as provider:
        url = f"http://127.0.0.1:{provider.port}/v1"
        other = url if then is not None else "http://127.0.0.1:9/v1"
        common = {"models": ["rehearsal-*"], "api_key": "k", "timeouts": {"first_byte": "500ms"}}
        overrides = {
            "providers": {
                "rehearsal": {**common, "weight": 1000},
                "other": {"type": "openai-compatible", "base_url": other, **common},
            },
            "routing": {"failover": {"max_attempts": 2}},
        }
        with (
            start_gateway(tmp_path, provider.port, Setup(overrides=overrides)) as gateway,
            Client(gateway.port) as client,
        ):
            answer = client.ask(post(CHAT, chat(), gateway.key))
            assert answer.status in (502, 503)
            if provider.calls:  # by chance, a thousand to one, the closed port comes first
                assert cost(gateway, answer.headers["x-jupiter-evidence-id"]) > 0


def test_head_has_no_body_and_the_connection_goes_on(gateway: Gateway):
    for path in ("/health", CHAT):
        with Client(gateway.port) as client:
            client.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            _, headers = client.head()
            assert int(headers["content-length"]) > 0
            assert code(client) == 401


def test_a_provider_that_stays_after_its_last_event_keeps_nobody_waiting(tmp_path: Path):
    async def lingering(call: Call, out: Out) -> None:
        await out.events(b"".join(stream_events(call, "word")))
        for _ in range(100):
            await out.sleep(0.1)
            await out.events(b": ping\n\n")

    with Provider(lingering) as provider, start_gateway(tmp_path, provider.port) as gateway:
        with Client(gateway.port) as client:
            answer = client.ask(post(CHAT, chat(stream=True), gateway.key))
        assert answer.body.rstrip().endswith((b"data: [DONE]", b": ping"))
        assert wait_until(lambda: provider.calls[0].gone, 5), "the provider is still listened to"
        assert gateway.leaves("outcome")[0]["latency_us"]["total"] < 5_000_000


def test_a_stream_that_a_rule_holds_back_has_a_bound(tmp_path: Path):
    async def long(call: Call, out: Out) -> None:
        for _ in range(200):
            await out.events(b'data: {"choices": [], "x": "' + b"y" * 20_000 + b'"}\n\n')
        await out.events(b"data: [DONE]\n\n")

    rule = """
mpl_version: "1.0"
name: answers
rules:
  - name: none-of-that
    conditions: [{field: response.content, operator: contains, value: never-said}]
    actions: [{type: deny, message: not that}]
"""
    setup = Setup(policies={"answers.yaml": rule}, overrides={"proxy": {"limits": {"response": "1MiB"}}})
    with Provider(long) as provider, start_gateway(tmp_path, provider.port, setup) as gateway:
        with Client(gateway.port) as client:
            answer = client.ask(post(CHAT, chat(stream=True), gateway.key))
        assert (answer.status, answer.code) == (502, "provider_invalid_response")


def test_an_address_of_this_machine_is_local_however_it_is_written():
    for address in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0"):
        assert is_local(address), address
    for address in ("192.0.2.1", "8.8.8.8", "2001:db8::1"):
        assert not is_local(address), address
