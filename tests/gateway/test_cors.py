"""Pages of other sites: allowed origins get their preflight and their headers, others nothing that a browser would accept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, get, post

from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
APP = "https://app.example"


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    setup = Setup(overrides={"proxy": {"cors": {"enabled": True, "allowed_origins": [APP]}}})
    with start_gateway(tmp_path_factory.mktemp("cors"), provider.port, setup) as running:
        yield running


def preflight(origin: str, path: str = CHAT) -> bytes:
    return (
        f"OPTIONS {path} HTTP/1.1\r\nHost: gateway\r\nOrigin: {origin}\r\n"
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization, x-stainless-os,x-other\r\n\r\n"
    ).encode()


def test_a_preflight_of_an_allowed_origin_is_answered_without_a_key(gateway: Gateway):
    with Client(gateway.port) as client:
        answer = client.ask(preflight(APP))
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == APP
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "authorization" in answer.headers["access-control-allow-headers"]
    allowed = answer.headers["access-control-allow-headers"]
    assert "x-stainless-os" in allowed
    assert "x-other" not in allowed
    assert "*" not in allowed
    assert answer.headers["access-control-max-age"] == "3600"
    assert answer.headers["vary"] == "origin"


def test_a_preflight_of_any_other_origin_is_refused(gateway: Gateway):
    for origin in ("https://app.example.evil", "http://app.example", "null", "https://app.example:8443"):
        with Client(gateway.port) as client:
            answer = client.ask(preflight(origin))
        assert answer.status == 403, origin
        assert not [name for name in answer.headers if name.startswith("access-control-")], origin


def test_answers_streams_and_refusals_say_that_the_page_may_read_them(gateway: Gateway):
    for key, body, status in (
        (gateway.key, chat(), 200),
        (gateway.key, chat(stream=True), 200),
        ("wrong", chat(), 401),
        (gateway.key, chat(model="nobody-has-this"), 404),
    ):
        with Client(gateway.port) as client:
            answer = client.ask(post(CHAT, body, key, Origin=APP))
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, APP)
        assert "x-jupiter-evidence-id" in answer.headers["access-control-expose-headers"]


def test_a_call_without_an_allowed_origin_is_answered_without_such_headers(gateway: Gateway):
    for headers in ({}, {"Origin": "https://other.example"}):
        with Client(gateway.port) as client:
            answer = client.ask(post(CHAT, chat(), gateway.key, **headers))
        assert answer.status == 200
        assert "access-control-allow-origin" not in answer.headers


def test_switched_off_nothing_is_said_and_options_is_no_method(provider: RehearsalThread, tmp_path: Path):
    with start_gateway(tmp_path, provider.port) as gateway, Client(gateway.port) as client:
        assert client.ask(preflight(APP)).status == 405
        answer = client.ask(get("/health", Origin=APP))
        assert answer.status == 200
        assert "access-control-allow-origin" not in answer.headers
