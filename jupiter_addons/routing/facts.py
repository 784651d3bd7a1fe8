"""What rules can read of the configured providers: `provider.NAME.*`, for the model that a call asks for."""

from collections.abc import Callable, Mapping, Sequence

from jupiter_addons.routing.plan import Candidate
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.state import RoutingState

type Facts = Mapping[str, Mapping[str, str | float | int | None]]


def facts(
    providers: Sequence[Provider], state: RoutingState, model: str, per_token: Callable[[Candidate], float | None]
) -> Facts:
    """Return provider -> field -> value, null where nothing is known.

    Health is that of the model at the provider, because that is what would be asked; what was never asked is well.
    `per_token` gives the dollars that a token of the answer costs.
    """
    found = {}
    for provider in providers:
        candidate = Candidate(provider, provider.called(model), model)
        seen = state.seen(candidate.pair)
        found[provider.name] = {
            "health_status": seen.status,
            "circuit_breaker_state": seen.breaker,
            "region": provider.region,
            "avg_latency_ms": None if seen.latency_s is None else seen.latency_s * 1000,
            "consecutive_failures": seen.consecutive_failures,
            "current_cost_per_token": per_token(candidate) if provider.offers(model) else None,
        }
    return found
