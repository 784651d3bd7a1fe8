"""The allow-list is exact."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.call import DialectName, Endpoint
from jupiter_addons.dialects.endpoints import ENDPOINTS, FURTHER, error_family, find, find_further
from jupiter_addons.dialects.registry import WIRES
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


def test_what_no_stage_serves_yet_is_still_unknown():
    for endpoint in FURTHER:
        found = find(endpoint.method, endpoint.path.replace("{id}", "file-1"))
        assert isinstance(found, Refusal) and found.code == "unknown_path"


@pytest.mark.parametrize("endpoint", FURTHER, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_a_further_path_is_found_with_its_method(endpoint):
    path = endpoint.path.replace("{id}", "file-abc_1.x")
    assert find_further(endpoint.method, path) == find_further(endpoint.method, f"{path}?limit=1") == endpoint
    wrong = find_further("PATCH", path)
    assert isinstance(wrong, Refusal) and wrong.code == "method_not_allowed"


@pytest.mark.parametrize(
    "target",
    ["/v1/files/", "/v1/files/..", "/v1/files/.hidden", "/v1/files/a%2fb", "/v1/files/a/b", "/v1/files/a/content/", "/v1/files/{id}",
     "//v1/files/a", "/v1/files/" + "a" * 129, "/v1/responses/", "/v1/responses/a", "/V1/files/a", "/v1/chat/completions"],
)  # fmt: skip
def test_any_other_spelling_is_not_further_either(target):
    assert find_further("GET", target) is None


def test_every_dialect_has_an_endpoint_and_no_path_two_meanings():
    everywhere = (*ENDPOINTS.values(), *FURTHER)
    assert {endpoint.dialect for endpoint in everywhere} - {None} == set(get_args(DialectName))
    assert len({(endpoint.method, endpoint.path) for endpoint in everywhere}) == len(everywhere)
    for endpoint in everywhere:
        assert error_family(endpoint.path) == endpoint.errors
        if endpoint.dialect is not None:
            assert (WIRES[endpoint.dialect].path, WIRES[endpoint.dialect].family) == (endpoint.path, endpoint.errors)
