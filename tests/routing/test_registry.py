"""What the names of models mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.errors import Refusal
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.registry import Registry, Resolved, undated


def a_provider(name, *models, **more) -> Provider:
    return Provider(name, "openai", "https", "h", 443, "", models, **more)


REGISTRY = Registry(
    [
        a_provider("openai", "gpt-*", "o3"),
        a_provider("azure", "gpt-4o", model_map={"house": "deployment-7"}),
        a_provider("router", "meta/llama-3", "azure/special", "Qwen/*"),
    ],
    {"fast": "gpt-4o-mini", "safe": "azure/gpt-4o", "broken": "nothing"},
)


@pytest.mark.parametrize(
    ("name", "model", "provider"),
    [
        ("gpt-4o", "gpt-4o", None),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06", None),
        ("o3", "o3", None),
        ("house", "house", None),
        ("azure/house", "house", "azure"),
        ("fast", "gpt-4o-mini", None),
        ("safe", "gpt-4o", "azure"),
        ("openai/gpt-4o", "gpt-4o", "openai"),
        ("azure/gpt-4o", "gpt-4o", "azure"),
        ("meta/llama-3", "meta/llama-3", None),
        ("azure/special", "azure/special", None),
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B", None),
        ("router/Qwen/Qwen3-8B", "Qwen/Qwen3-8B", "router"),
    ],
)
def test_a_name_means_one_model(name, model, provider):
    assert REGISTRY.resolve(name) == Resolved(model, provider)


TRICKS = [
    "GPT-4o", "Gpt-4o", "gpt-4O", "gpt-4o ", " gpt-4o", "gpt-4o\t", "gpt-4o\n", "gpt-4o\0", "gpt-4o\u200b", "gpt\u20114o",
    "gpt-4\u03bf", "gpt-4o\u00a0", "\uff47pt-4o", "gpt-4o\u0301", "gpt%2d4o", "gpt-4o?x=1", "gpt-4o#x", "gpt-4o;x", "gpt-4o,o3",
    "OPENAI/gpt-4o", "openai//gpt-4o", "openai/openai/gpt-4o", "/gpt-4o", "gpt-4o/", "openai/", "azure/gpt-5", "azure/o3",
    "ft:gpt-4o:org::id", "o3-2025-04-16", "O3", "FAST", "fast ", "openai/fast", "azure/safe", "nothing", "broken", "", "*",
    "gpt-*", "deployment-7", "gpt-" + "x" * 200, "meta/llama-4", "router/azure", "-", "a/../gpt-4o",
]  # fmt: skip


@pytest.mark.parametrize("name", TRICKS)
def test_a_name_that_only_looks_like_one_means_nothing(name):
    outcome = REGISTRY.resolve(name)
    assert isinstance(outcome, Refusal)
    assert (outcome.code, outcome.param) == ("model_not_found", "model")


@given(st.text(max_size=30) | st.text("gpt-4oO3 /\u200b", max_size=12))
def test_whatever_is_resolved_resolves_to_itself_and_is_plain(name):
    found = REGISTRY.resolve(name)
    if isinstance(found, Resolved):
        assert REGISTRY.resolve(found.model) == Resolved(found.model)
        assert found.model.isascii()
        assert found.model.isprintable()


def test_a_wildcard_for_everything_offers_capitals_and_still_nothing_invisible():
    registry = Registry([a_provider("p", "*")], {})
    assert registry.resolve("Llama-3:8B") == Resolved("Llama-3:8B")
    assert isinstance(registry.resolve("llama\u200b"), Refusal)


def test_the_list_has_aliases_exact_names_and_known_ones_that_a_pattern_covers():
    registry = Registry([a_provider("p", "gpt-*", "house", model_map={"mapped": "x"})], {"fast": "gpt-4o"})
    assert registry.listing(["gpt-4o", "claude-3", "GPT-x"]) == ("fast", "gpt-4o", "house", "mapped")


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("gpt-4o", "gpt-4o"),
        ("gpt-4-0613", "gpt-4-0613"),
        ("x-2024-13-40-y", "x-2024-13-40-y"),
        ("gpt-4o-2024-08-06-preview", "gpt-4o-2024-08-06-preview"),
        ("m-99999999", "m-99999999"),
    ],
)
def test_the_date_of_a_snapshot_is_taken_off(name, without):
    assert undated(name) == without
