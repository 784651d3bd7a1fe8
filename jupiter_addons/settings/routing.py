"""From the keys of `providers` and `routing` to what routing works with."""

import itertools
from collections.abc import Iterator, Mapping

from jupiter_addons.errors import Problem, Refusal
from jupiter_addons.routing.breaker import BreakerRules
from jupiter_addons.routing.checks import CheckRules
from jupiter_addons.routing.ejection import EjectionRules
from jupiter_addons.routing.plan import Choice, RoutingRules
from jupiter_addons.routing.provider import Provider, Timeouts, address
from jupiter_addons.routing.registry import Registry, Resolved, undated
from jupiter_addons.routing.retry import BudgetRules
from jupiter_addons.routing.state import StateRules
from jupiter_addons.settings.load import Configuration
from jupiter_addons.settings.schema import Settings
from jupiter_addons.settings.schema_routing import Routing
from jupiter_addons.settings.schema_traffic import Provider as ProviderEntry

REHEARSED = "rehearsal-1"
"""The model that the built-in provider says it has."""


def providers(settings: Settings) -> tuple[Provider, ...]:
    """Return the providers, each worker's share of their connections with them."""
    return tuple(_provider(name, entry, settings.proxy.workers) for name, entry in settings.providers.items())


def routing_rules(routing: Routing, fallbacks: Mapping[str, tuple[Resolved, ...]] | None = None) -> RoutingRules:
    """Return how one of several providers is chosen; `fallbacks` are those of `fallback_models`."""
    required = frozenset(routing.require)
    return RoutingRules(
        choice=Choice(routing.strategy, tuple(routing.order), required),
        by_model={
            model: Choice(
                entry.strategy or routing.strategy,
                tuple(entry.order or routing.order),
                required | frozenset(entry.require),
            )
            for model, entry in routing.by_model.items()
        },
        rounds=routing.failover.rounds,
        fallbacks=fallbacks or {},
    )


def fallback_models(settings: Configuration, registry: Registry) -> Mapping[str, tuple[Resolved, ...]]:
    """Return which models stand in for which, as far as they are models that are offered; `fallback_problems` names others."""
    return {
        name: tuple(known for model in models if isinstance(known := registry.resolve(model), Resolved))
        for name, models in settings.routing.fallbacks.items()
    }


def fallback_problems(settings: Configuration, registry: Registry) -> Iterator[Problem]:
    """Yield the fallbacks that could not be followed.

    A model with limits of its own (`limits.by_model`) is none that may stand in: they are held before it is known who answers.
    """

    def problem(name: str, what: str) -> Problem:
        return Problem(str(settings.file), 0, 0, f"`routing.fallbacks` has `{name}`, {what}")

    for name, models in settings.routing.fallbacks.items():
        if "*" not in name and (own := registry.canonical(name)) != name:
            yield problem(name, f"which is another name of `{own}`")
        for model in models:
            known = registry.resolve(model)
            if isinstance(known, Refusal):
                yield problem(model, "which no provider offers")
            elif {known.model, undated(known.model)} & settings.limits.by_model.keys():
                yield problem(model, "which has limits of its own in `limits.by_model`")


def mentioned_models(settings: Settings) -> Iterator[str]:
    """Yield the models that the configuration names anywhere: what somebody has written down here is known to be there."""
    yield from settings.processing.tokens.windows
    yield from settings.limits.by_model
    routing = settings.routing
    exact = [name for name in routing.by_model if "*" not in name]
    for name in (*exact, *routing.aliases.values(), *itertools.chain.from_iterable(routing.fallbacks.values())):
        provider, slash, model = name.partition("/")
        yield model if slash and provider in settings.providers else name
    for entry in settings.providers.values():
        if entry.health_check.model is not None:
            yield entry.health_check.model
        if entry.type == "rehearsal":
            yield REHEARSED


def state_rules(routing: Routing) -> StateRules:
    """Return how it is judged who is well."""
    breaker, ejection, budget = routing.circuit_breaker, routing.ejection, routing.failover.budget
    return StateRules(
        breaker=BreakerRules(
            enabled=breaker.enabled,
            failures=breaker.failures,
            error_share=breaker.error_rate,
            volume=breaker.min_requests,
            window_s=breaker.window,
            open_s=breaker.open_for,
            most_open_s=breaker.max_open_for,
            successes=breaker.successes,
        ),
        ejection=EjectionRules(
            enabled=ejection.enabled,
            share=ejection.error_rate,
            factor=ejection.factor,
            volume=ejection.min_requests,
            eject_s=ejection.eject_for,
            most_s=ejection.max_eject_for,
            most_share=ejection.max_ejected,
        ),
        budget=BudgetRules(share=budget.share, floor_per_s=budget.floor),
    )


def _provider(name: str, entry: ProviderEntry, workers: int) -> Provider:
    scheme, host, port, prefix = address(entry.base_url)
    return Provider(
        name=name,
        type=entry.type,
        scheme=scheme,
        host=host,
        port=port,
        prefix=prefix,
        models=tuple(entry.models),
        api_key=entry.api_key.get_secret_value() if entry.api_key is not None else None,
        weight=entry.weight,
        headers=tuple(entry.headers.items()),
        timeouts=Timeouts(**entry.timeouts.model_dump()),
        max_connections=-(-entry.max_connections // workers),
        priority=entry.priority,
        region=entry.region,
        tags=frozenset(entry.tags),
        model_map=entry.model_map,
        api_version=entry.api_version,
        check=_check(entry),
    )


def _check(entry: ProviderEntry) -> CheckRules | None:
    check, model = entry.health_check, entry.checked_model
    if not check.enabled or model is None:
        return None
    return CheckRules(
        model=model,
        interval_s=check.interval,
        timeout_s=check.timeout,
        healthy_after=check.healthy_after,
        unhealthy_after=check.unhealthy_after,
    )
