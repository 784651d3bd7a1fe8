"""One key a request, wherever it is carried."""

import base64

import pytest

from jupiter_addons.errors import Refusal
from jupiter_addons.identity.credentials import Presented, from_proxy_authorization, presented


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([("Authorization", "Bearer k")], "k"),
        ([("authorization", "bearer   k ")], "k"),
        ([("X-Api-Key", "k")], "k"),
        ([("Authorization", "Bearer k"), ("x-api-key", "k")], "k"),
        ([("Authorization", "Bearer k"), ("x-api-key", "j")], "conflicting_keys"),
        ([("Authorization", "Bearer k"), ("Authorization", "Bearer k")], "conflicting_keys"),
        ([("x-api-key", "k"), ("x-api-key", "j")], "conflicting_keys"),
        ([("Authorization", "Basic k")], "invalid_key"),
        ([("Authorization", "Bearer ")], "invalid_key"),
        ([("Authorization", "k")], "invalid_key"),
        ([("x-api-key", " ")], "missing_key"),
        ([("X-User", "root"), ("cookie", "key=k")], "missing_key"),
        ([("x-api-key", "k" * 300)], "invalid_key"),
    ],
)
def test_a_key_is_found_in_either_header(headers, found):
    outcome = presented(headers)
    assert (outcome.code if isinstance(outcome, Refusal) else outcome.key) == found


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (basic(":k"), Presented("k")),
        (basic("jupiter:k"), Presented("k")),
        (basic("alice:k"), Presented("k", "alice")),
        (basic("alice:k:with:colons"), Presented("k:with:colons", "alice")),
        (None, "missing_key"),
        (basic("alice:"), "missing_key"),
        (basic("alice"), "missing_key"),
        ("Bearer k", "invalid_key"),
        ("Basic !!!", "invalid_key"),
        ("Basic " + "A" * 5000, "invalid_key"),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), "invalid_key"),
    ],
)
def test_a_proxy_credential_is_read(value, found):
    outcome = from_proxy_authorization(value)
    assert (outcome.code if isinstance(outcome, Refusal) else outcome) == found


def test_a_key_is_not_shown():
    assert "secret" not in repr(Presented("secret"))
