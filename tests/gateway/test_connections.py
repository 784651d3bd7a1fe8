"""Client connections that nobody uses, probes of a gateway that is full, and stand-ins at the intercept door."""

import threading
import time
from pathlib import Path

from support.gateway import Setup, free_port, start_gateway
from support.wire import Client, chat, get, post

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"


def test_an_idle_connection_is_closed_and_one_in_use_is_not(provider: RehearsalThread, tmp_path: Path):
    setup = Setup(overrides={"proxy": {"keep_alive_timeout": "1s"}})
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        with Client(gateway.port) as idle, Client(gateway.port) as busy:
            assert idle.ask(get("/health")).status == 200
            answer = busy.ask(post(CHAT, chat("[[delay_ms=3000]]"), gateway.key))
            assert answer.status == 200
            assert idle.is_closed(1)
        assert gateway.report().findings == []


def test_a_gateway_that_is_full_refuses_calls_and_answers_probes(provider: RehearsalThread, tmp_path: Path):
    setup = Setup(overrides={"proxy": {"max_in_flight": 1}})
    with start_gateway(tmp_path, provider.port, setup) as gateway, Client(gateway.port) as first:
        first.send(post(CHAT, chat("[[delay_ms=2000]]"), gateway.key))
        time.sleep(0.5)
        for path, dialect in ((CHAT, "openai"), ("/v1/messages", "anthropic")):
            with Client(gateway.port) as client:
                for _ in range(2):  # the connection is kept
                    answer = client.ask(post(path, chat(), gateway.key))
                    assert answer.status == 503
                    assert answer.headers["retry-after"] == "1"
                    kind = answer.json()["error"]["type"]
                    assert kind == {"openai": "server_error", "anthropic": "overloaded_error"}[dialect]
        with Client(gateway.port) as client:
            assert client.ask(get("/health")).status == 200
            assert client.ask(get("/ready")).status == 200
            # in pieces it takes the long way, and is refused as well
            raw = post(CHAT, chat(), gateway.key)
            client.send(raw[:50])
            time.sleep(0.2)
            assert client.ask(raw[50:]).status == 503
        assert first.answer().status == 200


def test_a_connection_that_was_refused_is_served_once_there_is_room(provider: RehearsalThread, tmp_path: Path):
    setup = Setup(overrides={"proxy": {"max_in_flight": 1}})
    with start_gateway(tmp_path, provider.port, setup) as gateway, Client(gateway.port) as first:
        first.send(post(CHAT, chat("[[delay_ms=1000]]"), gateway.key))
        time.sleep(0.3)
        with Client(gateway.port) as refused, Client(gateway.port) as waiting:
            assert refused.ask(post(CHAT, chat(), gateway.key)).status == 503
            assert first.answer().status == 200
            for client in (refused, waiting):  # one that was told no, and one that came then and said nothing
                for _ in range(2):
                    assert client.ask(post(CHAT, chat(), gateway.key)).status == 200
        assert gateway.report().findings == []


def test_a_stand_in_answers_for_the_provider_that_was_meant_only_where_that_is_configured(
    provider: RehearsalThread, tmp_path: Path
):
    away = f"http://127.0.0.1:{free_port()}/v1"
    for name, failover, status in (("without", False, 503), ("with", True, 200)):
        meant = {"type": "rehearsal", "base_url": away, "models": ["rehearsal-*"]}
        stand_in = {
            "type": "rehearsal",
            "base_url": f"http://127.0.0.1:{provider.port}/v1",
            "api_key": "provider-key",
            "models": ["rehearsal-*"],
        }
        overrides = {
            "providers": {"rehearsal": {**meant, "api_key": None}, "other": stand_in},
            "intercept": {"failover": failover},
        }
        (tmp_path / name).mkdir()
        with start_gateway(tmp_path / name, provider.port, Setup(overrides=overrides)) as gateway:
            seen = provider.journal.seen
            with gateway.connect("api.openai.com") as client:
                answer = client.ask(post(CHAT, chat(), "the-clients-own-key"))
            assert answer.status == status, name
            assert provider.journal.seen - seen == int(failover)
            if failover:
                assert answer.headers["x-jupiter-provider"] == "other"


def test_a_large_body_does_not_keep_others_waiting(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port) as gateway:
        many = {"role": "user", "content": "hello " * 10}
        body = {**chat(), "messages": [many] * 60_000}
        waits: list[float] = []
        over = threading.Event()

        def ask() -> None:
            with Client(gateway.port) as client:
                while not over.is_set():
                    began = time.monotonic()
                    assert client.ask(get("/health")).status == 200
                    waits.append(time.monotonic() - began)

        thread = threading.Thread(target=ask)
        thread.start()
        with Client(gateway.port) as client:
            answer = client.ask(post(CHAT, body, gateway.key))
        over.set()
        thread.join()
        assert answer.status == 200, answer.body[:200]
        assert len(waits) > 20, "nobody else was served meanwhile"
