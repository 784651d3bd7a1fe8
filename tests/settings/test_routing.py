"""What routing is given of a configuration."""

from pathlib import Path

import pytest

from jupiter_addons.routing.checks import CheckRules
from jupiter_addons.routing.plan import Choice, RoutingRules
from jupiter_addons.routing.registry import Registry, Resolved
from jupiter_addons.routing.state import StateRules
from jupiter_addons.settings.load import defaults
from jupiter_addons.settings.routing import (
    fallback_models,
    fallback_problems,
    mentioned_models,
    providers,
    routing_rules,
    state_rules,
)
from jupiter_addons.settings.schema import Settings

PROVIDER = {"type": "openai", "base_url": "https://h/v1", "models": ["m"]}


def a_settings(**given) -> Settings:
    return Settings.model_validate({"providers": {"p": PROVIDER}, **given})


def test_the_defaults_of_the_configuration_are_those_of_routing():
    routing = a_settings().routing
    assert routing_rules(routing) == RoutingRules()
    assert state_rules(routing) == StateRules()


def test_what_is_written_for_a_model_adds_to_what_is_required_of_all_and_replaces_the_rest():
    routing = a_settings(
        routing={
            "order": ["p"],
            "require": ["eu"],
            "by_model": {"a-*": {"strategy": "manual", "require": ["x"]}, "b": {"order": ["q"]}},
            "failover": {"rounds": 2},
        }
    ).routing
    rules = routing_rules(routing)
    assert rules.rounds == 2
    assert rules.choice_for("a-1") == Choice("manual", ("p",), frozenset({"eu", "x"}))
    assert rules.choice_for("b") == Choice("weighted", ("q",), frozenset({"eu"}))
    assert rules.choice_for("c") == rules.choice == Choice("weighted", ("p",), frozenset({"eu"}))


def test_every_number_arrives_where_it_belongs():
    routing = a_settings(
        routing={
            "circuit_breaker": {
                "enabled": False,
                "failures": 1,
                "error_rate": 0.2,
                "min_requests": 3,
                "window": 4,
                "open_for": 5,
                "max_open_for": 6,
                "successes": 7,
            },
            "ejection": {
                "enabled": False,
                "error_rate": 0.1,
                "factor": 2,
                "min_requests": 3,
                "eject_for": 4,
                "max_eject_for": 5,
                "max_ejected": 0.4,
            },
            "failover": {"budget": {"share": 0.3, "floor": 1}},
        }
    ).routing
    rules = state_rules(routing)
    breaker, ejection, budget = rules.breaker, rules.ejection, rules.budget
    assert (breaker.enabled, breaker.failures, breaker.error_share, breaker.volume) == (False, 1, 0.2, 3)
    assert (breaker.window_s, breaker.open_s, breaker.most_open_s, breaker.successes) == (4, 5, 6, 7)
    assert (ejection.enabled, ejection.share, ejection.factor, ejection.volume) == (False, 0.1, 2, 3)
    assert (ejection.eject_s, ejection.most_s, ejection.most_share) == (4, 5, 0.4)
    assert (budget.share, budget.floor_per_s) == (0.3, 1)


def test_a_provider_is_as_configured_and_each_worker_has_its_share_of_connections():
    entry = {
        **PROVIDER,
        "type": "azure-openai",
        "api_version": "2024-10-21",
        "model_map": {"gpt-4o": "d"},
        "region": "eu",
        "tags": ["t"],
        "priority": 3,
        "max_connections": 3,
        "api_key": "k",
    }
    (found,) = providers(
        a_settings(providers={"p": entry}, proxy={"workers": 2}, limits={"default": {"requests_per_minute": None}})
    )
    assert (found.type, found.api_version, found.model_map) == ("azure-openai", "2024-10-21", {"gpt-4o": "d"})
    assert (found.region, found.tags, found.priority) == ("eu", {"t"}, 3)
    assert (found.max_connections, found.api_key) == (2, "k")


def test_a_health_check_asks_for_the_model_that_is_named_or_the_first_that_is_no_pattern():
    def checked(models, **check):
        entry = {**PROVIDER, "models": models, "health_check": {"enabled": True, **check}}
        (provider,) = providers(a_settings(providers={"p": entry}))
        return provider.check

    assert checked(["m-*", "m-1", "m-2"]) == CheckRules("m-1")
    assert checked(["m-*"], model="m-7", interval="5s", timeout="1s", healthy_after=1, unhealthy_after=4) == CheckRules(
        "m-7", 5, 1, 1, 4
    )
    assert providers(a_settings())[0].check is None


@pytest.mark.parametrize(
    ("models", "model", "says"),
    [(["m-*"], None, "needs a `model`"), (["m-*"], "other", "is none of this provider's"), (["m"], "M", "is none")],
)
def test_a_health_check_of_a_model_that_the_provider_does_not_offer_is_refused(models, model, says):
    entry = {**PROVIDER, "models": models, "health_check": {"enabled": True, "model": model}}
    with pytest.raises(ValueError, match=says):
        a_settings(providers={"p": entry})


def fallbacks(written, **sections):
    values = {
        "providers": {"p": {**PROVIDER, "models": ["m", "n", "x-*"]}},
        "routing": {"fallbacks": written},
        **sections,
    }
    settings = defaults(Path("/jupiter.yaml"), values)
    registry = Registry(providers(settings), settings.routing.aliases)
    return fallback_models(settings, registry), [problem.message for problem in fallback_problems(settings, registry)]


def test_fallbacks_are_models_under_the_name_that_rules_have_for_them():
    aliases = {"aliases": {"fast": "p/n"}}
    found = fallbacks({}, routing={"fallbacks": {"m": ["fast", "x-1"]}, **aliases})
    assert found == ({"m": (Resolved("n", "p"), Resolved("x-1"))}, [])


@pytest.mark.parametrize(
    ("written", "sections", "says"),
    [
        ({"m": ["gone"]}, {}, "`gone`, which no provider offers"),
        ({"p/m": ["n"]}, {}, "`p/m`, which is another name of `m`"),
        ({"m": ["n"]}, {"limits": {"by_model": {"n": {"requests_per_day": 5}}}}, "limits of its own"),
    ],
)
def test_a_fallback_that_could_not_be_one_is_refused(written, sections, says):
    _, (problem,) = fallbacks(written, **sections)
    assert says in problem


def test_every_model_that_is_written_down_somewhere_is_known_by_its_own_name():
    settings = a_settings(
        providers={
            "p": {**PROVIDER, "models": ["*"], "health_check": {"model": "checked"}},
            "r": {**PROVIDER, "type": "rehearsal"},
        },
        routing={
            "aliases": {"fast": "p/aliased", "slow": "vendor/model"},
            "fallbacks": {"m": ["p/fallen", "other"]},
            "by_model": {"by-model": {}, "x-*": {}},
        },
        limits={"by_model": {"limited": {"requests_per_day": 1}}},
        processing={"tokens": {"windows": {"windowed": 10}}},
    )
    assert set(mentioned_models(settings)) == {
        "checked", "rehearsal-1", "aliased", "vendor/model", "fallen", "other", "by-model", "limited", "windowed",
    }  # fmt: skip
