"""What rules can read of providers."""

from jupiter_addons.policy.fields import PROVIDER_FIELDS
from jupiter_addons.routing.facts import facts
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.state import RoutingState, StateRules

PROVIDERS = [
    Provider("a", "openai", "https", "h", 443, "", ("gpt-*",), region="eu"),
    Provider("b", "openai", "https", "h", 443, "", (), model_map={"gpt-4o": "deployment"}),
    Provider("c", "openai", "https", "h", 443, "", ("other",)),
]


def test_every_field_that_rules_know_is_there_for_every_provider_and_is_that_of_the_model_asked_for():
    state = RoutingState(StateRules(), lambda: 0.0, lambda: 0.5)
    for _ in range(5):
        lease = state.lease(("b", "deployment"))
        assert lease is not None
        lease.failed(waited_s=2.0)
    found = facts(PROVIDERS, state, "gpt-4o", lambda candidate: {"gpt-4o": 1e-5}.get(candidate.model))
    assert all(fields.keys() == PROVIDER_FIELDS.keys() for fields in found.values())
    assert found["a"] == {
        "health_status": "healthy",
        "circuit_breaker_state": "closed",
        "region": "eu",
        "avg_latency_ms": None,
        "consecutive_failures": 0,
        "current_cost_per_token": 1e-5,
    }
    assert found["b"]["circuit_breaker_state"] == "open"
    assert found["b"]["avg_latency_ms"] == 2000
    assert found["b"]["current_cost_per_token"] is None
    assert found["c"]["current_cost_per_token"] is None
    assert facts(PROVIDERS, state, "gpt-5", lambda _: None)["b"]["health_status"] == "healthy"
