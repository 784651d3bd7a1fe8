"""The allow-list is exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.call import Endpoint
from jupiter_addons.dialects.endpoints import ENDPOINTS, error_family, find
from jupiter_addons.errors import Refusal


@pytest.mark.parametrize("path", ENDPOINTS)
def test_a_known_path_is_found_whatever_its_query(path):
    method = ENDPOINTS[path].method
    assert find(method, path) == find(method, f"{path}?beta=true&x=//../") == ENDPOINTS[path]


@given(st.sampled_from(sorted(ENDPOINTS)), st.integers(0, 30), st.text("/.%;\\ \x00é2fA", min_size=1, max_size=3))
def test_any_other_spelling_is_not(path, at, extra):
    target = path[:at] + extra + path[at:]
    found = find("POST", target)
    assert isinstance(found, Refusal) or "?" in target


def test_a_wrong_method_is_told_the_right_one():
    refusal = find("GET", "/v1/messages")
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.message) == ("method_not_allowed", "`/v1/messages` is asked with POST")


def test_a_message_never_repeats_what_cannot_be_printed():
    refusal = find("GET", "/a\x1b[31m`é" + "x" * 500)
    assert isinstance(refusal, Refusal)
    assert refusal.message.isprintable()
    assert len(refusal.message) < 300


@pytest.mark.parametrize(
    ("target", "family"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/api/chat", "ollama"),
        ("/", "openai"),
    ],
)
def test_a_client_is_answered_in_its_own_family(target, family):
    assert error_family(target) == family


def test_the_table_is_made_of_endpoints():
    assert all(isinstance(endpoint, Endpoint) and endpoint.path == path for path, endpoint in ENDPOINTS.items())
