"""Errors mean the same in every dialect."""

import json

import pytest

from jupiter_addons.dialects.translation import faults
from jupiter_addons.dialects.translation.conversation import Fault


@pytest.mark.parametrize(
    ("status", "body", "kind", "anthropic", "openai"),
    [
        (
            400,
            {"error": {"type": "invalid_request_error", "message": "m"}},
            "invalid_request",
            *["invalid_request_error"] * 2,
        ),
        (401, {"error": {"code": "invalid_api_key", "message": "m"}}, "authentication", *["authentication_error"] * 2),
        (403, {"error": {"type": "permission_error", "message": "m"}}, "permission", *["permission_error"] * 2),
        (404, {"error": "model not found"}, "not_found", "not_found_error", "invalid_request_error"),
        (413, {}, "too_large", "request_too_large", "invalid_request_error"),
        (418, {}, "invalid_request", "invalid_request_error", "invalid_request_error"),
        (429, {"error": {"type": "tokens", "message": "m"}}, "rate_limit", "rate_limit_error", "rate_limit_exceeded"),
        (500, {"error": {"type": "api_error", "message": "m"}}, "server", "api_error", "server_error"),
        (502, [], "server", "api_error", "server_error"),
        (503, {"error": {"message": "m"}}, "overloaded", "overloaded_error", "server_error"),
        (504, {}, "timeout", "timeout_error", "server_error"),
        (
            529,
            {"error": {"type": "overloaded_error", "message": "m"}},
            "overloaded",
            "overloaded_error",
            "server_error",
        ),
    ],
)
def test_the_status_says_what_kind_it_is(status, body, kind, anthropic, openai):
    fault = faults.read_body(status, json.dumps(body).encode())
    assert fault.kind == kind
    assert faults.write("anthropic", fault)["error"]["type"] == anthropic
    assert faults.write("openai", fault)["error"]["type"] == openai
    assert faults.write("ollama", fault) == {"error": fault.message}


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff"])
def test_an_error_without_a_body_still_says_its_status(body):
    assert faults.read_body(502, body) == Fault("server", "the provider answered with status 502")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error"}, "overloaded"),
        ({"type": "rate_limit_error"}, "rate_limit"),
        ({"type": "x", "code": "rate_limit_exceeded"}, "rate_limit"),
        ({"type": "insufficient_quota"}, "rate_limit"),
        ({"type": "invalid_request_error"}, "invalid_request"),
        ({"type": "server_error"}, "server"),
        ({"type": 7}, "server"),
        ("text", "server"),
    ],
)
def test_in_a_stream_the_type_tells(error, kind):
    assert faults.read(error).kind == kind


@pytest.mark.parametrize("nothing", [None, 7, [], True])
def test_what_says_nothing_is_no_error(nothing):
    assert faults.read(nothing) is None


def test_param_and_code_come_through_and_nothing_is_endless():
    fault = faults.read({"message": "x" * 9999, "param": "tools[0]", "code": "c" * 99, "type": "t"})
    assert (len(fault.message), fault.param, len(fault.code)) == (faults.MAX_MESSAGE_CHARS, "tools[0]", 64)


def test_a_status_that_only_anthropic_has_stays_with_anthropic():
    assert [faults.status_for(family, 529) for family in ("anthropic", "openai", "ollama")] == [529, 503, 503]
