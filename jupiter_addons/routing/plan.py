"""From a model to the providers that can be asked for it, in order of preference."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.errors import Refusal
from jupiter_addons.routing.provider import Provider


@dataclass(frozen=True, slots=True)
class Candidate:
    """One provider to try, and the model to ask it for."""

    provider: Provider
    model: str


@dataclass(frozen=True, slots=True)
class Route:
    """The candidates, best first, and how they were ordered."""

    candidates: tuple[Candidate, ...]
    strategy: str


def plan(
    model: str,
    dialect: DialectName,
    providers: Sequence[Provider],
    *,
    only: str | None,
    dice: Callable[[], float],
    stand_ins: bool = False,
    named: Sequence[str] | None = None,
) -> Route | Refusal:
    """Return the route for a call, or why there is none.

    `only` names the one provider an intercepted client meant; with `stand_ins` others that we have a key for may follow
    it.  `dice` returns numbers in [0, 1): the order is random,
    weighted by `weight` (Efraimidis and Spirakis 2006: sort by u^(1/w)).  `named` are the providers a rule wants, in its order;
    nobody else is asked then, whoever the client meant.
    """
    if named is not None:
        return _as_named(model, dialect, providers, named)
    offering = [p for p in providers if (only is None or p.name == only) and p.offers(model)]
    if not offering:
        return Refusal("model_not_found", f"model `{_plain(model)}` is not offered here", param="model")
    speaking = [p for p in offering if p.serves(dialect)]
    if not speaking:
        paths = sorted({WIRES[d].path for p in offering for d in p.dialects})
        message = f"model `{_plain(model)}` is offered at {' and '.join(paths)} only"
        return Refusal("unsupported_by_provider", message, param="model")
    if only is not None and stand_ins:
        speaking += [p for p in providers if p.name != only and p.api_key and p.offers(model) and p.serves(dialect)]
    if len(speaking) > 1:
        speaking.sort(key=lambda p: (p.name == only, dice() ** (1 / p.weight)), reverse=True)
    return Route(tuple(Candidate(p, model) for p in speaking), "weighted")


def _as_named(model: str, dialect: DialectName, providers: Sequence[Provider], named: Sequence[str]) -> Route | Refusal:
    known = {provider.name: provider for provider in providers}
    found = [known[name] for name in dict.fromkeys(named) if name in known]
    able = [provider for provider in found if provider.offers(model) and provider.serves(dialect)]
    if not able:
        return Refusal("no_provider", f"no provider that a policy names can be asked for model `{_plain(model)}`")
    return Route(tuple(Candidate(provider, model) for provider in able), "policy")


def listing(providers: Iterable[Provider], catalogue: Iterable[str]) -> tuple[str, ...]:
    """Return the names to list: those configured exactly, and known ones that a pattern covers."""
    providers = tuple(providers)
    exact = {name for p in providers for name in p.models if "*" not in name}
    known = {name for name in catalogue if any(p.offers(name) for p in providers)}
    return tuple(sorted(exact | known))


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() and char != "`" else "?" for char in text[:100])
