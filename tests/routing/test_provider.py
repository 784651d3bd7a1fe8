"""Providers: addresses, paths, and which models they offer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.routing.provider import DIALECTS, Provider, address, matches


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://api.openai.com/v1", ("https", "api.openai.com", 443, "")),
        ("https://api.anthropic.com", ("https", "api.anthropic.com", 443, "")),
        ("http://127.0.0.1:8000/v1/", ("http", "127.0.0.1", 8000, "")),
        ("https://host/openai/v1", ("https", "host", 443, "/openai")),
        ("http://[::1]:1234", ("http", "::1", 1234, "")),
    ],
)
def test_a_base_url_is_an_address_and_a_prefix(url, found):
    assert address(url) == found


@pytest.mark.parametrize(
    "url", ["", "api.openai.com", "ftp://x", "https://", "https://u:p@h", "https://h?x=1", "https://h#x"]
)
def test_a_base_url_that_is_none_is_refused(url):
    with pytest.raises(ValueError):
        address(url)


def a_provider(base_url="https://h/v1", models=("gpt-*",)) -> Provider:
    return Provider("p", "openai", *address(base_url), models=models, api_key="sk-secret")


def test_the_version_in_the_base_url_is_not_doubled():
    assert a_provider().path_for("/v1/chat/completions?x=1") == "/v1/chat/completions?x=1"
    assert a_provider("https://h/deep/v1").path_for("/v1/messages") == "/deep/v1/messages"


def test_the_host_header_names_an_unusual_port_only():
    assert a_provider().authority == "h"
    assert a_provider("http://h:8080").authority == "h:8080"
    assert a_provider("http://[::1]:80").authority == "[::1]"


def test_a_key_is_not_shown():
    assert "secret" not in repr(a_provider())


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "anything", True),
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "gpt-", True),
        ("gpt-*", "GPT-4o", False),
        ("gpt-*", " gpt-4o", False),
        ("*-mini", "gpt-4o-mini", True),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "acb", False),
        ("ab*ba", "aba", False),
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt.4", "gptx4", False),
        ("[a]", "a", False),
    ],
)
def test_a_star_is_the_only_character_that_is_not_itself(pattern, name, fits):
    assert matches(pattern, name) is fits


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_globs_agree_with_the_standard_ones(pattern, name):
    from fnmatch import fnmatchcase

    assert matches(pattern, name) == fnmatchcase(name, pattern)


@pytest.mark.parametrize(
    ("base_url", "version", "target", "path"),
    [
        ("https://n.azure.test", "2024-10-21", "/v1/chat/completions", "/openai/deployments/my%2Fd/chat/completions"),
        ("https://n.azure.test/", "2024-10-21", "/v1/embeddings?x=1", "/openai/deployments/my%2Fd/embeddings"),
        ("https://n.azure.test/openai", "2024-10-21", "/v1/completions", "/openai/deployments/my%2Fd/completions"),
        ("https://h/deep/openai/v1", "2024-10-21", "/v1/responses", "/deep/openai/responses"),
    ],
)
def test_azure_has_the_deployment_and_a_version_in_its_target(base_url, version, target, path):
    azure = Provider("p", "azure-openai", *address(base_url), models=("m",), api_version=version)
    assert azure.path_for(target, "my/d") == f"{path}?api-version={version}"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/v1/audio/speech?x=1", "/openai/deployments/m/audio/speech?api-version=1"),
        ("/v1/files?limit=2&after=f", "/openai/files?api-version=1&limit=2&after=f"),
        ("/v1/files/f-1/content", "/openai/files/f-1/content?api-version=1"),
        ("/v1/batches?api-version=2&API%2dversion=3&limit=1", "/openai/batches?api-version=1&limit=1"),
    ],
)
def test_azure_is_asked_for_what_is_passed_on_in_its_own_way(target, path):
    azure = Provider("p", "azure-openai", *address("https://h"), models=("m",), api_version="1")
    assert azure.path_for(target, "m") == path


def test_what_is_passed_on_is_asked_of_whoever_has_openais_paths():
    of = {kind: Provider("p", kind, *address("http://h"), models=("*",)) for kind in DIALECTS}
    assert [kind for kind, one in of.items() if one.has("/v1/files")] == [
        "openai", "openai-compatible", "azure-openai", "rehearsal",
    ]  # fmt: skip
    assert [kind for kind, one in of.items() if one.has("/v1/moderations")] == [
        "openai",
        "openai-compatible",
        "rehearsal",
    ]


def test_azure_without_a_version_has_the_paths_of_openai():
    azure = Provider("p", "azure-openai", *address("https://n.azure.test/openai/v1/"), models=("m",))
    assert azure.path_for("/v1/chat/completions", "m") == "/openai/v1/chat/completions"


@pytest.mark.parametrize(
    ("kind", "spoken", "field"),
    [
        ("openai", "openai_chat", (b"authorization", b"Bearer k")),
        ("openai-compatible", "openai_embeddings", (b"authorization", b"Bearer k")),
        ("ollama", "ollama_chat", (b"authorization", b"Bearer k")),
        ("anthropic", "anthropic_messages", (b"x-api-key", b"k")),
        ("rehearsal", "anthropic_count_tokens", (b"x-api-key", b"k")),
        ("azure-openai", "openai_chat", (b"api-key", b"k")),
        ("anthropic", "passthrough", (b"x-api-key", b"k")),
        ("openai", "passthrough", (b"authorization", b"Bearer k")),
    ],
)
def test_each_api_has_its_own_header_for_the_key(kind, spoken, field):
    assert Provider("p", kind, *address("https://h"), models=("m",)).credential("k", spoken) == field


def test_a_mapped_model_is_offered_and_asked_for_under_the_providers_own_name():
    mapped = Provider("p", "openai", *address("https://h"), models=("m",), model_map={"gpt-4o": "d"})
    assert [mapped.offers(name) for name in ("gpt-4o", "m", "d")] == [True, True, False]
    assert [mapped.called(name) for name in ("gpt-4o", "m")] == ["d", "m"]


def test_a_region_is_something_that_can_be_required_like_a_tag():
    assert a_provider().answers_to == frozenset()
    located = Provider("p", "openai", *address("https://h"), models=(), region="eu", tags=frozenset({"t"}))
    assert located.answers_to == {"eu", "t"}


def test_who_does_not_speak_a_dialect_serves_it_by_translation_if_there_is_one():
    of = {kind: Provider("p", kind, *address("http://h"), models=("*",)) for kind in ("openai", "anthropic", "ollama")}
    assert all(provider.serves("openai_responses") for provider in of.values())
    assert [kind for kind, provider in of.items() if provider.serves("openai_embeddings")] == ["openai", "ollama"]
    assert [kind for kind, provider in of.items() if provider.serves("anthropic_count_tokens")] == ["anthropic"]
