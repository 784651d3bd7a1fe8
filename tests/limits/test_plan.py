"""Which limits apply to whom."""

import pytest

from jupiter_addons.limits.limit import Terms, limit_of
from jupiter_addons.limits.plan import Caller, LimitPlan, Tables


def rates(**amounts: int | None):
    return {name: None if amount is None else Terms(amount) for name, amount in amounts.items()}


PLAN = LimitPlan(
    Tables(
        default=rates(requests_per_minute=60, requests_per_day=1000, tokens_per_day=5),
        each={"lab": rates(requests_per_day=500, tokens_per_day=None)},
        by_user={"eve": rates(requests_per_minute=3, requests_per_day=None)},
        by_key={"k1": rates(requests_per_second=1)},
        by_team={"lab": rates(requests_per_hour=500)},
        by_organisation={"acme": rates(usd_per_month=9)},
        by_model={"gpt-5": rates(requests_per_second=2)},
        by_provider={"openai": rates(concurrent_requests=8)},
        overall=rates(requests_per_minute=10_000),
    )
)


def told(caller: Caller, model: str = "m") -> dict[str, int]:
    return {f"{limit.subject} {limit.name}": limit.terms.amount for limit in PLAN.limits_for(caller, model)}


def test_a_stranger_has_the_default_and_the_overall_limit():
    assert told(Caller("bob", "k9")) == {
        "user:bob requests_per_minute": 60,
        "user:bob requests_per_day": 1000,
        "user:bob tokens_per_day": 5,
        "global requests_per_minute": 10_000,
    }


@pytest.mark.parametrize(
    ("user", "team", "expected"),
    [
        ("bob", None, {"requests_per_minute": 60, "requests_per_day": 1000, "tokens_per_day": 5}),
        ("bob", "lab", {"requests_per_minute": 60, "requests_per_day": 500}),
        ("eve", None, {"requests_per_minute": 3, "tokens_per_day": 5}),
        ("eve", "lab", {"requests_per_minute": 3}),
        ("bob", "ops", {"requests_per_minute": 60, "requests_per_day": 1000, "tokens_per_day": 5}),
    ],
)
def test_a_user_inherits_name_by_name_from_the_default_and_the_team(user, team, expected):
    found = told(Caller(user, "k9", team))
    own = {name.partition(" ")[2]: amount for name, amount in found.items() if name.startswith("user:")}
    assert own == expected


def test_key_team_organisation_and_model_are_counted_beside_the_user():
    found = told(Caller("eve", "k1", "lab", "acme"), "gpt-5")
    assert {name for name in found if not name.startswith("user:")} == {
        "key:k1 requests_per_second",
        "team:lab requests_per_hour",
        "organisation:acme usd_per_month",
        "model:gpt-5 requests_per_second",
        "global requests_per_minute",
    }


def test_a_provider_has_limits_of_its_own():
    assert PLAN.limits_at("openai") == (limit_of("provider:openai", "concurrent_requests", Terms(8)),)
    assert PLAN.limits_at("other") == ()


def test_nothing_is_remembered_of_models_without_limits():
    """Their names may be made up, and be as long as a body."""
    plan = LimitPlan(Tables(by_model={"gpt-5": rates(requests_per_second=2)}))
    for number in range(9):
        plan.limits_for(Caller("bob", "k"), f"gpt-{'x' * 99}{number}")
    assert plan._found.cache_info().currsize == 1
    assert [limit.subject for limit in plan.limits_for(Caller("bob", "k"), "gpt-5")] == ["model:gpt-5"]
