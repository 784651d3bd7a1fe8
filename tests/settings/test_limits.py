"""From configuration to the plan."""

from jupiter_addons.limits.limit import Terms
from jupiter_addons.limits.plan import Caller
from jupiter_addons.settings.limits import limit_plan
from jupiter_addons.settings.schema_limits import Limits

LIMITS = {
    "time_zone": "Europe/Berlin",
    "enforcement": {"action": "queue", "alerts": [80, 50]},
    "default": {"requests_per_minute": {"limit": 60, "burst": 5, "enforcement": "block", "alerts": []}},
    "by_user": {"eve": {"requests_per_minute": None}},
    "by_team": {"lab": {"usd_per_day": {"limit": 50, "window": "calendar"}, "each": {"tokens_per_day": 9}}},
    "by_provider": {"openai": {"concurrent_requests": {"limit": 8, "on_store_failure": "local"}}},
    "global": {"usd_per_month": {"limit": "0.5", "window": "calendar", "zone": "UTC"}},
}


def test_what_is_configured_is_what_applies():
    plan = limit_plan(Limits.model_validate(LIMITS))
    found = {f"{limit.subject} {limit.name}": limit.terms for limit in plan.limits_for(Caller("bob", "k", "lab"), "m")}
    assert found == {
        "user:bob requests_per_minute": Terms(60, burst=5),
        "user:bob tokens_per_day": Terms(9, enforcement="queue", alerts=(50, 80)),
        "team:lab usd_per_day": Terms(50 * 10**9, zone="Europe/Berlin", enforcement="queue", alerts=(50, 80)),
        "global usd_per_month": Terms(5 * 10**8, zone="UTC", enforcement="queue", alerts=(50, 80)),
    }
    assert [limit.name for limit in plan.limits_for(Caller("eve", "k"), "m")] == ["usd_per_month"]
    (local,) = plan.limits_at("openai")
    assert local.terms.on_store_failure == "local"
