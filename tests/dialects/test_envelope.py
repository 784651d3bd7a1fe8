"""Refusals in each dialect."""

import json

import pytest

from jupiter_addons.dialects import envelope
from jupiter_addons.errors import CODES, Refusal

REFUSAL = Refusal("invalid_value", "`x` must be text", param="messages[0].x")


def test_the_shapes_are_those_the_sdks_read():
    assert json.loads(envelope.body("openai", REFUSAL)) == {
        "error": {
            "message": "`x` must be text",
            "type": "invalid_request_error",
            "param": "messages[0].x",
            "code": "invalid_value",
        }
    }
    assert json.loads(envelope.body("anthropic", REFUSAL)) == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "messages[0].x: `x` must be text"},
    }
    assert json.loads(envelope.body("ollama", REFUSAL)) == {"error": "`x` must be text"}


def test_the_last_event_carries_the_same_body():
    assert envelope.event("openai", REFUSAL) == b"data: " + envelope.body("openai", REFUSAL) + b"\n\n"
    assert envelope.event("anthropic", REFUSAL).startswith(b'event: error\ndata: {"type":"error"')
    assert envelope.event("ollama", REFUSAL).endswith(b"}\n")


def test_a_response_that_failed_has_an_event_of_its_own():
    name, data = envelope.event("openai", REFUSAL, "openai_responses").rstrip().split(b"\n")
    found = json.loads(data.removeprefix(b"data: "))
    assert (name, found["type"], found["response"]["status"]) == (
        b"event: response.failed",
        "response.failed",
        "failed",
    )
    assert found["response"]["error"] == {"code": "invalid_value", "message": "`x` must be text"}
    assert found["error"] == json.loads(envelope.body("openai", REFUSAL))["error"]
    assert envelope.event("openai", REFUSAL, "openai_chat") == envelope.event("openai", REFUSAL)


@pytest.mark.parametrize("code", CODES)
def test_a_refusal_that_will_not_change_says_so(code):
    headers = dict(envelope.headers(Refusal(code, "x")))
    assert ("x-should-retry" in headers) is not CODES[code].retry
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("wait_s", "said", "retry"), [(0.1, "1", True), (7.2, "8", True), (60, "60", True), (61, "61", False)]
)
def test_a_wait_is_said_in_whole_seconds_and_a_long_one_ends_the_retries(wait_s, said, retry):
    headers = dict(envelope.headers(Refusal("rate_limited", "x", retry_after_s=wait_s)))
    assert headers["retry-after"] == said
    assert ("x-should-retry" not in headers) is retry


def test_credentials_are_asked_for_where_they_are_missing():
    assert dict(envelope.headers(Refusal("missing_key", "x")))["www-authenticate"] == "Bearer"
    proxy = dict(envelope.headers(Refusal("missing_key", "x", status=407)))
    assert proxy["proxy-authenticate"] == 'Basic realm="jupiter"'
    assert "www-authenticate" not in proxy


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, None),
        ({"retry-after": "7"}, "7"),
        ({"retry-after": "soon"}, "soon"),
        ({"retry-after-ms": "1500"}, "1.500"),
        ({"retry-after-ms": "1500", "retry-after": "2"}, "1.500"),
        ({"retry-after-ms": "-1", "retry-after": "2"}, "2"),
        ({"retry-after-ms": "1e3", "retry-after": "2"}, "2"),
        ({"retry-after-ms": "9" * 5000, "retry-after": "2"}, "2"),
        ({"retry-after-ms": "\u0661", "retry-after": "2"}, "2"),
    ],
)
def test_a_providers_advice_in_milliseconds_is_the_one_that_counts(headers, found):
    assert envelope.advice(headers) == found
