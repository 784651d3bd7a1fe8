"""From a model to the providers that can be asked for it, in order of preference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.errors import Refusal
from jupiter_addons.routing.checks import STRATEGY
from jupiter_addons.routing.provider import Provider, matches
from jupiter_addons.routing.registry import Resolved, not_offered, plain
from jupiter_addons.routing.state import Pair, RoutingState
from jupiter_addons.routing.strategies import STRATEGIES, Circumstances, StrategyName


@dataclass(frozen=True, slots=True)
class Candidate:
    """One provider to try, and the model to ask it for, as that provider calls it."""

    provider: Provider
    model: str
    routed: str
    """The one name that rules, limits and prices have for that model."""

    @property
    def name(self) -> str:
        """The provider's name."""
        return self.provider.name

    @property
    def weight(self) -> int:
        """The provider's share."""
        return self.provider.weight

    @property
    def pair(self) -> Pair:
        """What its health is known by."""
        return self.provider.name, self.model


@dataclass(frozen=True, slots=True)
class Route:
    """The candidates, best first, and how they were ordered.  Who is there twice is asked again after the others."""

    candidates: tuple[Candidate, ...]
    strategy: str

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that may be asked, by the name that limits and prices have for it; the one that is wanted first, unless
        nobody who offers it is well."""
        return tuple(dict.fromkeys(candidate.routed for candidate in self.candidates))


@dataclass(frozen=True, slots=True)
class Choice:
    """How one of several providers is chosen, for all models or for some."""

    strategy: StrategyName = "weighted"
    order: tuple[str, ...] = ()
    """The providers of `manual`, first choice first."""
    tags: frozenset[str] = frozenset()
    """What a provider must have: tags or its region."""


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """What is configured of routing."""

    choice: Choice = Choice()
    by_model: Mapping[str, Choice] = field(default_factory=dict)
    """Model, or a pattern of models -> what holds for it instead; the first that fits."""
    rounds: int = 1
    """How often the candidates are gone through."""
    fallbacks: Mapping[str, tuple[Resolved, ...]] = field(default_factory=dict)
    """Model, or a pattern of models -> the models that may be asked when nobody can answer for it, in order."""

    def fallbacks_for(self, model: str) -> tuple[Resolved, ...]:
        """Return the models that may be asked in place of one, in order."""
        found = next((models for name, models in self.fallbacks.items() if matches(name, model)), ())
        return tuple(resolved for resolved in found if resolved.model != model)

    def choice_for(self, model: str) -> Choice:
        """Return what holds for a model."""
        return next((choice for name, choice in self.by_model.items() if matches(name, model)), self.choice)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One call, as far as routing looks at it."""

    model: str
    dialect: DialectName
    only: str | None = None
    """The one provider that is meant: an intercepted client's, or a prefix's."""
    stand_ins: bool = False
    """Whether others that we have a key for may follow that one."""
    named: Sequence[str] | None = None
    """The providers that a rule wants, in its order; nobody else is asked then, whoever the client meant."""
    tags: frozenset[str] = frozenset()
    """What a provider must have for this caller."""
    check: bool = False
    """Whether it is a check of `only`: nobody else follows, and an open breaker does not keep it away."""
    fallbacks: Sequence[Resolved] = ()
    """The models that may be asked in its place, in order."""
    affinity: str | None = None
    cost: Callable[[Candidate], int | None] = lambda _: None


def plan(wanted: Wanted, providers: Sequence[Provider], rules: RoutingRules, state: RoutingState) -> Route | Refusal:
    """Return the route for a call, or why there is none: no such model, not in this dialect, not allowed, nobody well.

    Other models are asked after every provider of the one that is wanted, and in its place if none of them is well.
    """
    route = _route(wanted, providers, rules, state)
    if not wanted.fallbacks or (isinstance(route, Refusal) and route.code not in _UNWELL):
        return route
    candidates = {} if isinstance(route, Refusal) else {candidate.pair: candidate for candidate in route.candidates}
    ordered = [] if isinstance(route, Refusal) else list(route.candidates)
    for other in wanted.fallbacks:
        named = replace(wanted, model=other.model, only=other.provider, stand_ins=False)
        found = _route(named, providers, rules, state)
        if isinstance(found, Route):
            added = [c for c in found.candidates if c.pair not in candidates and _may_follow(wanted, c)]
            candidates |= {candidate.pair: candidate for candidate in added}
            ordered += added
    if isinstance(route, Refusal):
        return Route(tuple(ordered), "fallback") if ordered else route
    return replace(route, candidates=tuple(ordered))


def _may_follow(wanted: Wanted, candidate: Candidate) -> bool:
    """Whether a candidate for another model may follow: a client's own key goes only to the host and model it was meant for."""
    return wanted.only is None or (candidate.name != wanted.only and candidate.provider.api_key is not None)


_UNWELL = frozenset({"no_provider", "rate_limited"})
"""What is refused because of how providers are now: another model may be better off."""


def _route(wanted: Wanted, providers: Sequence[Provider], rules: RoutingRules, state: RoutingState) -> Route | Refusal:
    """Return the route for one model."""
    choice = rules.choice_for(wanted.model)
    able = _able(wanted, providers, choice)
    if isinstance(able, Refusal):
        return able
    if wanted.check:
        able = [provider.as_checked for provider in able]
    candidates = [Candidate(provider, provider.called(wanted.model), wanted.model) for provider in able]
    up = [candidate for candidate in candidates if not state.wait_s(candidate.pair, check=wanted.check)]
    if not up:
        return _nobody(wanted, candidates, state)
    if wanted.check:
        return Route(tuple(up), STRATEGY)
    if wanted.named is not None:
        return Route(tuple(up) * rules.rounds, "policy")
    if len(up) > 1:
        up = _ordered(wanted, up, choice, state)
    return Route(tuple(up) * rules.rounds, choice.strategy)


def _able(wanted: Wanted, providers: Sequence[Provider], choice: Choice) -> list[Provider] | Refusal:
    """Return who could serve a call if all were well."""
    model, tags = wanted.model, choice.tags | wanted.tags
    if wanted.named is not None:
        known = {provider.name: provider for provider in providers}
        named = [known[name] for name in dict.fromkeys(wanted.named) if name in known]
        able = [p for p in named if p.offers(model) and p.serves(wanted.dialect) and tags <= p.answers_to]
        if able:
            return able
        return Refusal("no_provider", f"no provider that a policy names can be asked for model `{plain(model)}`")
    offering = [p for p in providers if p.offers(model) and (wanted.only is None or p.name == wanted.only)]
    if not offering:
        return not_offered(model)
    speaking = [p for p in offering if p.serves(wanted.dialect)]
    if not speaking:
        paths = sorted({WIRES[dialect].path for provider in offering for dialect in provider.dialects} - {""})
        message = f"model `{plain(model)}` is offered at {' and '.join(paths)} only"
        return Refusal("unsupported_by_provider", message, param="model")
    if wanted.only is not None and wanted.stand_ins:
        speaking += [
            p for p in providers if p.name != wanted.only and p.api_key and p.offers(model) and p.serves(wanted.dialect)
        ]
    allowed = [p for p in speaking if tags <= p.answers_to]
    if not allowed:
        return Refusal("policy_denied", f"no provider of model `{plain(model)}` may be asked by this caller")
    if choice.strategy == "manual" and not wanted.check:
        allowed = [p for p in allowed if p.name in choice.order]
    return allowed or Refusal("no_provider", f"no provider is configured to be asked for model `{plain(model)}`")


def _ordered(wanted: Wanted, candidates: list[Candidate], choice: Choice, state: RoutingState) -> list[Candidate]:
    def failing(candidate: Candidate) -> float:
        return state.health(candidate.pair).outcomes.bad_share(state.clock(), 1)

    at = Circumstances(
        dice=state.dice,
        turn=state.turn(wanted.model) if choice.strategy == "round-robin" else 0,
        affinity=wanted.affinity,
        order=choice.order,
        expected_s=lambda c: state.health(c.pair).expected_s(state.clock()),
        asked_s=lambda c: state.health(c.pair).asked_s,
        cost=wanted.cost,
        failing=failing,
    )
    ordered = STRATEGIES[choice.strategy](candidates, at)
    out = frozenset(state.eject([candidate.pair for candidate in candidates]))
    return sorted(ordered, key=lambda c: (c.name != wanted.only, c.pair in out, c.provider.priority))


def _nobody(wanted: Wanted, candidates: Sequence[Candidate], state: RoutingState) -> Refusal:
    """Return why nobody can be asked now, and when somebody can."""
    now_s = state.clock()
    wait_s = min(state.wait_s(candidate.pair) for candidate in candidates)
    if all(state.health(candidate.pair).rests_until_s > now_s for candidate in candidates):
        message = f"every provider of model `{plain(wanted.model)}` asks to be left alone for a while"
        return Refusal("rate_limited", message, retry_after_s=wait_s)
    message = f"every provider of model `{plain(wanted.model)}` is failing"
    return Refusal("no_provider", message, retry_after_s=wait_s)
