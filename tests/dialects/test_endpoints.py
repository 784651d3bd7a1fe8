"""The allow-list is exact."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.call import DialectName, Endpoint
from jupiter_addons.dialects.endpoints import ENDPOINTS, PASSED_ON, error_family, find, unlisted
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


@pytest.mark.parametrize("endpoint", PASSED_ON, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_what_is_passed_on_is_found_with_its_method(endpoint):
    path = endpoint.path.replace("{id}", "file-abc_1.x")
    assert find(endpoint.method, path) == find(endpoint.method, f"{path}?limit=1") == endpoint
    wrong = find("PATCH", path)
    assert isinstance(wrong, Refusal) and wrong.code == "method_not_allowed"


@pytest.mark.parametrize(
    "target",
    ["/v1/files/", "/v1/files/..", "/v1/files/.hidden", "/v1/files/a%2fb", "/v1/files/a/b", "/v1/files/a/content/", "/v1/files/{id}",
     "//v1/files/a", "/v1/files/" + "a" * 129, "/v1/responses/", "/v1/responses/a", "/V1/files/a", "/v1/moderations/x"],
)  # fmt: skip
def test_any_other_spelling_of_it_is_unknown(target):
    found = find("GET", target)
    assert isinstance(found, Refusal) and found.code == "unknown_path"


def test_every_dialect_has_an_endpoint_and_no_path_two_meanings():
    everywhere = (*ENDPOINTS.values(), *PASSED_ON)
    assert {endpoint.dialect for endpoint in everywhere} - {None} == set(get_args(DialectName))
    assert len({(endpoint.method, endpoint.path) for endpoint in everywhere}) == len(everywhere)
    for endpoint in everywhere:
        assert error_family(endpoint.path) == endpoint.errors
        if endpoint.dialect is not None:
            assert WIRES[endpoint.dialect].path in ("", endpoint.path)
            assert WIRES[endpoint.dialect].family == endpoint.errors


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("POST", "/v1/fine_tuning/jobs", "unknown"),
        ("GET", "/v1/responses/resp_ABC?include=x", "unknown"),
        ("GET", "/v1/organization/usage/completions", "unknown"),
        ("DELETE", "/v1/models/ft:gpt-4o", "unknown"),
        ("POST", "/v1/messages/batches", "batches"),
        ("POST", "/openai/Batches?api-version=1", "batches"),
        ("POST", "/v1beta/models/gemini:batchGenerateContent", "batches"),
    ],
)
def test_an_unknown_path_may_be_open_and_batches_are_told_apart(method, target, operation):
    found = unlisted(method, target)
    assert not isinstance(found, Refusal)
    assert (found.path, found.method, found.operation, found.body) == (
        target.partition("?")[0],
        method,
        operation,
        "any",
    )


@given(st.sampled_from(sorted(ENDPOINTS)), st.sampled_from(["GET", "POST"]), st.data())
def test_no_spelling_that_a_server_could_take_for_a_known_path_is_open(path, method, data):
    at = data.draw(st.integers(1, len(path) - 1))
    spelled = data.draw(
        st.sampled_from(
            [path + "/", path.upper(), path[:at] + path[at:].title() if path[at:] != path[at:].title() else path + ".",
             "/" + path, path.replace("/", "//", 1), path + "//", path + "/.", "/x/.." + path, path + "/..", path + ";a=b",
             path.replace("/", "\\"), f"{path[:at]}%{ord(path[at]):02x}{path[at + 1 :]}", path + " ", path + "\x00", path[1:],
             "/." + path, "*", "https://x" + path]
        )
    )  # fmt: skip
    assert isinstance(unlisted(method, spelled), Refusal), spelled


@pytest.mark.parametrize(
    "target",
    ["/openai/v1/chat/completions", "/openai/deployments/gpt-4o/chat/completions?api-version=1", "/chat/completions", "/v2/Responses",
     "/proxy/v1/messages", "/messages", "/generate", "/files", "/openai/deployments/x/images/generations", "/v1/engines/davinci/completions", "/x/api/chat"],
)  # fmt: skip
def test_a_call_under_another_path_is_not_open(target):
    found = unlisted("POST", target)
    assert isinstance(found, Refusal) and found.code == "endpoint_denied"


@pytest.mark.parametrize(
    "target", ["/v1/realtime/client_secrets", "/v1/realtime/sessions", "/v1/organization/admin_api_keys", "/v1/projects/p/service_accounts"]
)  # fmt: skip
def test_keys_that_lead_past_the_gateway_are_not_handed_out(target):
    found = unlisted("POST", target)
    assert isinstance(found, Refusal) and found.code == "endpoint_denied"


def test_a_known_path_with_another_method_is_not_open():
    found = unlisted("PUT", "/v1/chat/completions")
    assert isinstance(found, Refusal) and found.code == "method_not_allowed"
    found = unlisted("POST", "/v1/chat/completions")
    assert isinstance(found, Refusal) and found.code == "endpoint_denied"
