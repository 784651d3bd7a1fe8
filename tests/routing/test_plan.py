"""Routes: who offers a model, in which dialect, to whom, and in which order."""

import random
from collections import Counter

import pytest

from jupiter_addons.errors import Refusal
from jupiter_addons.routing.plan import Choice, Route, RoutingRules, Wanted, plan
from jupiter_addons.routing.provider import Provider, ProviderType
from jupiter_addons.routing.registry import Resolved
from jupiter_addons.routing.state import RoutingState, StateRules


def a_provider(name="p", kind: ProviderType = "openai", models=("gpt-*",), **more) -> Provider:
    return Provider(name, kind, "https", "h", 443, "", models, **more)


def a_state(seed=1, now_s=0.0) -> RoutingState:
    return RoutingState(StateRules(), lambda: now_s, random.Random(seed).random)


def a_route(providers, model="gpt-4o", dialect="openai_chat", rules=None, state=None, **wanted):
    return plan(Wanted(model, dialect, **wanted), providers, rules or RoutingRules(), state or a_state())


def names(route) -> list[str]:
    assert isinstance(route, Route), route
    return [candidate.name for candidate in route.candidates]


def refused(route) -> tuple[str, str]:
    assert isinstance(route, Refusal), route
    return route.code, route.message


def break_down(state: RoutingState, *providers: str, model="gpt-4o") -> None:
    for name in providers:
        while (lease := state.lease((name, model))) is not None:
            lease.failed()


def rest(state: RoutingState, provider: str, seconds: float) -> None:
    lease = state.lease((provider, "gpt-4o"))
    assert lease is not None
    lease.turned_away(seconds)


A, B, C = a_provider("a"), a_provider("b"), a_provider("c")


def test_a_model_nobody_offers_is_not_found():
    outcome = a_route([A], "claude")
    assert outcome == Refusal("model_not_found", "model `claude` is not offered here", param="model")


def test_a_provider_of_another_dialect_can_be_asked_by_translation():
    found = a_route([a_provider(kind="anthropic", models=("claude-*",))], "claude-3")
    assert len(names(found)) == 1


def test_what_cannot_be_translated_says_where_the_model_is_offered():
    outcome = a_route([a_provider(kind="anthropic", models=("claude-*",))], "claude-3", "openai_embeddings")
    assert outcome == Refusal(
        "unsupported_by_provider",
        "model `claude-3` is offered at /v1/messages and /v1/messages/count_tokens only",
        param="model",
    )


def test_an_intercepted_call_goes_to_the_provider_it_was_meant_for():
    assert names(a_route([A, B], only="b")) == ["b"]


def test_with_stand_ins_the_provider_that_was_meant_comes_first_and_only_those_with_a_key_follow():
    providers = [a_provider("a", api_key="k", weight=1000, priority=-1), B, C]
    for seed in range(20):
        assert names(a_route(providers, only="b", stand_ins=True, state=a_state(seed))) == ["b", "a"]


def test_first_choices_follow_the_weights():
    providers, state = [a_provider("a", weight=1), a_provider("b", weight=3)], a_state(5)
    first = Counter(names(a_route(providers, state=state))[0] for _ in range(4000))
    assert 0.71 < first["b"] / 4000 < 0.79


def test_a_name_is_made_printable_before_it_is_repeated():
    _, message = refused(a_route([], "\x1b[31m`" + "x" * 300))
    assert message.isprintable()
    assert len(message) < 150


def test_a_rule_that_names_providers_has_them_asked_in_its_order_and_nobody_else():
    route = a_route([A, B, C], only="a", named=("c", "b", "gone", "c"))
    assert names(route) == ["c", "b"]
    assert isinstance(route, Route)
    assert route.strategy == "policy"


def test_a_rule_that_names_nobody_who_can_be_asked_has_no_provider():
    assert refused(a_route([A], named=("gone",)))[0] == "no_provider"


def test_a_provider_is_asked_for_the_model_under_its_own_name():
    mapped = a_provider("a", models=("other",), model_map={"gpt-4o": "our-deployment"})
    route = a_route([mapped])
    assert isinstance(route, Route)
    assert route.candidates[0].model == "our-deployment"


@pytest.mark.parametrize("named", [None, ("a", "b", "c")])
@pytest.mark.parametrize(("tags", "asked"), [({"eu"}, ["a", "b"]), ({"eu", "zero-retention"}, ["b"])])
def test_only_those_that_have_what_is_required_are_asked_whoever_names_them(tags, asked, named):
    providers = [a_provider("a", region="eu"), a_provider("b", region="eu", tags=frozenset({"zero-retention"})), C]
    assert sorted(names(a_route(providers, tags=frozenset(tags), named=named))) == asked
    rules = RoutingRules(by_model={"gpt-4*": Choice(tags=frozenset(tags))})
    assert sorted(names(a_route(providers, rules=rules, named=named))) == asked


def test_if_nobody_has_what_is_required_the_call_is_denied():
    assert refused(a_route([A], tags=frozenset({"eu"})))[0] == "policy_denied"
    meant = a_provider("a", region="us")
    stand_in = a_provider("b", api_key="k", region="us")
    assert refused(a_route([meant, stand_in], only="a", stand_ins=True, tags=frozenset({"eu"})))[0] == "policy_denied"


def test_a_lower_priority_number_is_asked_first_whatever_it_weighs():
    providers = [a_provider("a", weight=1000, priority=1), a_provider("b"), a_provider("c")]
    for seed in range(20):
        assert names(a_route(providers, state=a_state(seed)))[2] == "a"


def test_the_strategy_of_a_model_replaces_that_of_all():
    rules = RoutingRules(
        by_model={"gpt-5": Choice("manual", order=("c", "a")), "gpt-4*": Choice("manual", order=("b",))}
    )
    assert names(a_route([A, B, C], "gpt-5", rules=rules)) == ["c", "a"]
    assert names(a_route([A, B, C], "gpt-4o", rules=rules)) == ["b"]
    assert len(names(a_route([A, B, C], "gpt-3", rules=rules))) == 3
    assert refused(a_route([A], "gpt-4o", rules=rules))[0] == "no_provider"


def test_round_robin_takes_turns_model_by_model():
    rules, state = RoutingRules(Choice("round-robin")), a_state()
    assert [names(a_route([A, B], rules=rules, state=state))[0] for _ in range(3)] == ["a", "b", "a"]
    assert names(a_route([A, B], "gpt-5", rules=rules, state=state))[0] == "a"


def test_the_cheapest_and_the_sticky_one_are_found():
    cost = {"a": 3, "b": 1, "c": 2}
    rules = RoutingRules(Choice("least-cost"))
    assert names(a_route([A, B, C], rules=rules, cost=lambda c: cost[c.name])) == ["b", "c", "a"]
    rules = RoutingRules(Choice("sticky"))
    found = {tuple(names(a_route([A, B, C], rules=rules, state=a_state(seed), affinity="alice"))) for seed in range(9)}
    assert len(found) == 1


def test_who_is_left_alone_is_not_asked():
    state = a_state()
    break_down(state, "a")
    rest(state, "b", 5)
    assert names(a_route([A, B, C], state=state)) == ["c"]
    assert names(a_route([A, B, C], state=state, named=("a", "c"))) == ["c"]


def test_another_model_of_a_provider_that_is_left_alone_is_asked():
    state = a_state()
    break_down(state, "a")
    assert names(a_route([A], "gpt-5", state=state)) == ["a"]


def test_when_all_are_failing_the_client_is_told_when_to_come_back():
    state = a_state()
    break_down(state, "a", "b")
    outcome = a_route([A, B], state=state)
    assert refused(outcome) == ("no_provider", "every provider of model `gpt-4o` is failing")
    assert isinstance(outcome, Refusal)
    assert outcome.retry_after_s is not None
    assert 27 <= outcome.retry_after_s <= 33


def test_when_all_are_resting_the_client_is_told_the_shortest_rest():
    state = a_state()
    rest(state, "a", 9)
    rest(state, "b", 4)
    outcome = a_route([A, B], state=state)
    assert refused(outcome)[0] == "rate_limited"
    assert isinstance(outcome, Refusal)
    assert outcome.retry_after_s == 4


def test_an_ejected_one_is_asked_after_the_others_and_priorities():
    state = a_state()
    for number in range(20):
        for name in ("a", "b"):
            lease = state.lease((name, "gpt-4o"))
            assert lease is not None
            lease.failed() if name == "a" and number % 3 == 0 else lease.answered()
    providers = [a_provider("a", weight=1000), a_provider("b", priority=9)]
    assert names(a_route(providers, state=state)) == ["b", "a"]


def test_several_rounds_ask_everybody_again_after_all_others():
    assert names(a_route([A, B], rules=RoutingRules(rounds=2), named=("b", "a"))) == ["b", "a", "b", "a"]


CLAUDE = a_provider("c", kind="anthropic", models=("claude-*",))
LLAMA = a_provider("l", kind="ollama", models=("llama",))
OTHERS = (Resolved("claude-3"), Resolved("llama"))


def asked(route) -> list[tuple[str, str]]:
    assert isinstance(route, Route), route
    return [(candidate.name, candidate.routed) for candidate in route.candidates]


def test_other_models_are_asked_after_every_provider_and_round_of_the_one_that_is_wanted():
    route = a_route([LLAMA, CLAUDE, A], fallbacks=OTHERS, rules=RoutingRules(rounds=2))
    assert asked(route) == [
        ("a", "gpt-4o"), ("a", "gpt-4o"), ("c", "claude-3"), ("c", "claude-3"), ("l", "llama"), ("l", "llama"),
    ]  # fmt: skip
    assert route.models == ("gpt-4o", "claude-3", "llama")


@pytest.mark.parametrize("unwell", [lambda state: break_down(state, "a"), lambda state: rest(state, "a", 60)])
def test_another_model_is_asked_at_once_when_nobody_who_offers_the_wanted_one_is_well(unwell):
    state = a_state()
    unwell(state)
    route = a_route([A, CLAUDE], fallbacks=OTHERS, state=state)
    assert asked(route) == [("c", "claude-3")]
    assert route.strategy == "fallback"


def test_what_is_denied_or_not_there_has_no_fallback():
    required = {"tags": frozenset({"eu"}), "fallbacks": OTHERS}
    in_eu = a_provider("c", kind="anthropic", models=("claude-*",), region="eu")
    assert refused(a_route([A, in_eu], **required))[0] == "policy_denied"
    assert refused(a_route([CLAUDE], "gpt-4o", fallbacks=OTHERS))[0] == "model_not_found"


def test_who_stands_in_must_have_what_is_required_too_and_be_well():
    in_us = a_provider("a", region="eu")
    assert asked(a_route([in_us, CLAUDE], tags=frozenset({"eu"}), fallbacks=OTHERS)) == [("a", "gpt-4o")]
    state = a_state()
    break_down(state, "c", model="claude-3")
    assert asked(a_route([A, CLAUDE, LLAMA], fallbacks=OTHERS, state=state)) == [("a", "gpt-4o"), ("l", "llama")]


def test_a_fallback_may_name_its_provider():
    twin = a_provider("d", kind="anthropic", models=("claude-*",))
    for seed in range(9):
        found = asked(a_route([A, CLAUDE, twin], fallbacks=[Resolved("claude-3", "d")], state=a_state(seed)))
        assert found == [("a", "gpt-4o"), ("d", "claude-3")]


def test_a_model_that_is_the_same_at_the_same_provider_is_not_asked_twice():
    mapped = a_provider("a", models=("gpt-4o",), model_map={"mini": "gpt-4o"})
    assert asked(a_route([mapped], fallbacks=[Resolved("mini")])) == [("a", "gpt-4o")]


def test_a_clients_own_key_is_used_for_no_other_model():
    meant = a_provider("a", models=("gpt-4o", "gpt-5"))
    ours = a_provider("b", models=("gpt-5",), api_key="k")
    keyless = a_provider("d", models=("gpt-5",))
    found = a_route([meant, ours, keyless], only="a", stand_ins=True, fallbacks=[Resolved("gpt-5")])
    assert asked(found) == [("a", "gpt-4o"), ("b", "gpt-5")]


def test_the_first_entry_that_fits_says_what_stands_in_and_no_model_for_itself():
    rules = RoutingRules(fallbacks={"gpt-4o": OTHERS, "*": (Resolved("llama"),)})
    assert rules.fallbacks_for("gpt-4o") == OTHERS
    assert rules.fallbacks_for("claude-3") == (Resolved("llama"),)
    assert rules.fallbacks_for("llama") == ()
