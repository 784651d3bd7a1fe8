"""Routes: who offers a model, in which dialect, in which order."""

import random
from collections import Counter

from jupiter_addons.errors import Refusal
from jupiter_addons.routing.plan import Route, listing, plan
from jupiter_addons.routing.provider import Provider, ProviderType


def a_provider(name="p", kind: ProviderType = "openai", models=("gpt-*",), weight=1) -> Provider:
    return Provider(name, kind, "https", "h", 443, "", models, weight=weight)


def route(model="gpt-4o", dialect="openai_chat", providers=(), only=None, seed=1):
    return plan(model, dialect, providers, only=only, dice=random.Random(seed).random)


def test_a_model_nobody_offers_is_not_found():
    outcome = route("claude", providers=[a_provider()])
    assert outcome == Refusal("model_not_found", "model `claude` is not offered here", param="model")


def test_a_provider_of_another_dialect_can_be_asked_by_translation():
    found = route("claude-3", providers=[a_provider(kind="anthropic", models=("claude-*",))])
    assert isinstance(found, Route)
    assert len(found.candidates) == 1


def test_what_cannot_be_translated_says_where_the_model_is_offered():
    outcome = route("claude-3", "openai_embeddings", [a_provider(kind="anthropic", models=("claude-*",))])
    assert outcome == Refusal(
        "unsupported_by_provider",
        "model `claude-3` is offered at /v1/messages and /v1/messages/count_tokens only",
        param="model",
    )


def test_an_intercepted_call_goes_to_the_provider_it_was_meant_for():
    providers = [a_provider("a"), a_provider("b")]
    found = route(providers=providers, only="b")
    assert isinstance(found, Route)
    assert [candidate.provider.name for candidate in found.candidates] == ["b"]


def test_with_stand_ins_the_provider_that_was_meant_comes_first_and_only_those_with_a_key_follow():
    keyed = Provider("a", "openai", "https", "h", 443, "", ("gpt-*",), api_key="k", weight=1000)
    providers = [keyed, a_provider("b"), a_provider("c")]
    for seed in range(20):
        found = plan("gpt-4o", "openai_chat", providers, only="b", dice=random.Random(seed).random, stand_ins=True)
        assert isinstance(found, Route)
        assert [candidate.provider.name for candidate in found.candidates] == ["b", "a"]


def test_first_choices_follow_the_weights():
    providers = [a_provider("a", weight=1), a_provider("b", weight=3)]
    dice = random.Random(5)
    first = Counter()
    for _ in range(4000):
        found = plan("gpt-4o", "openai_chat", providers, only=None, dice=dice.random)
        assert isinstance(found, Route)
        assert len(found.candidates) == 2
        first[found.candidates[0].provider.name] += 1
    assert 0.71 < first["b"] / 4000 < 0.79


def test_the_list_has_exact_names_and_known_ones_that_a_pattern_covers():
    providers = [a_provider(models=("gpt-*", "house"))]
    assert listing(providers, ["gpt-4o", "claude-3"]) == ("gpt-4o", "house")


def test_a_name_is_made_printable_before_it_is_repeated():
    outcome = route("\x1b[31m`" + "x" * 300, providers=[])
    assert isinstance(outcome, Refusal)
    assert outcome.message.isprintable()
    assert len(outcome.message) < 150


def test_a_rule_that_names_providers_has_them_asked_in_its_order_and_nobody_else():
    first, second, third = (a_provider(name, weight=100) for name in ("a", "b", "c"))
    route = plan(
        "gpt-4o", "openai_chat", [first, second, third], only="a", dice=lambda: 0.5, named=("c", "b", "gone", "c")
    )
    assert isinstance(route, Route)
    assert [candidate.provider.name for candidate in route.candidates] == ["c", "b"]
    assert route.strategy == "policy"


def test_a_rule_that_names_nobody_who_can_be_asked_has_no_provider():
    refusal = plan("gpt-4o", "openai_chat", [a_provider("a")], only=None, dice=lambda: 0.5, named=("gone",))
    assert isinstance(refusal, Refusal)
    assert refusal.code == "no_provider"
