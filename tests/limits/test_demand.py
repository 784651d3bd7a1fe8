"""Which limits apply to whom."""

from jupiter_addons.limits.demand import Limit, LimitPlan

PLAN = LimitPlan(
    default={"requests_per_minute": 60, "requests_per_day": 1000},
    by_user={"eve": {"requests_per_minute": 3}},
    by_team={"lab": {"requests_per_hour": 500}},
    by_model={"gpt-5": {"requests_per_second": 2}},
    overall={"requests_per_minute": 10_000},
)


def test_a_stranger_has_the_default_and_the_overall_limit():
    assert PLAN.limits_for("bob", None, "m") == [
        Limit("user:bob", "requests", 60, 60),
        Limit("user:bob", "requests", 1000, 86400),
        Limit("global", "requests", 10_000, 60),
    ]


def test_a_users_own_rate_replaces_the_default_rate_by_rate():
    found = PLAN.limits_for("eve", "lab", "gpt-5")
    assert Limit("user:eve", "requests", 3, 60) in found
    assert Limit("user:eve", "requests", 1000, 86400) in found
    assert Limit("team:lab", "requests", 500, 3600) in found
    assert Limit("model:gpt-5", "requests", 2, 1) in found
    assert len(found) == 5
