"""What the stages that choose a provider and learn of it share: the configuration of routing, its memory, and the leases that
are out."""

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.enrichment.prices import NOT_BILLED, Price
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import AttemptFailure, Exchange
from jupiter_addons.identity.principals import Principal
from jupiter_addons.routing.checks import checked
from jupiter_addons.routing.facts import Facts, facts
from jupiter_addons.routing.plan import Candidate, RoutingRules
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.registry import Registry
from jupiter_addons.routing.retry import rest_s
from jupiter_addons.routing.state import Change, Lease, Pair, RoutingState
from jupiter_addons.settings.schema_routing import Sticky
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS
from jupiter_addons.units import NANO_PER_USD

logger = logging.getLogger("jupiter.routing")


@dataclass(slots=True, eq=False)
class Taken:
    """The lease of the attempt that is running."""

    lease: Lease
    failures: int
    """How many attempts of the call had failed when it began, or went on over another connection."""


@dataclass(frozen=True, slots=True)
class Router:
    """What is configured of routing, and its memory: what the stages of this module share."""

    providers: tuple[Provider, ...]
    registry: Registry
    rules: RoutingRules
    state: RoutingState
    price_of: Callable[[Candidate, DialectName | None], Price | None]
    """The price of a model at one provider, for a client of a dialect."""
    sticky: Sticky
    residency: str | None
    """The attribute of a principal that names what its providers must have."""
    most_rest_s: float
    taken: WeakKeyDictionary[Exchange, Taken] = field(default_factory=WeakKeyDictionary)

    def required(self, principal: Principal) -> frozenset[str]:
        """Return what the providers of a principal must have."""
        needed = principal.attributes.get(self.residency) if self.residency is not None else None
        return frozenset() if needed is None else frozenset({str(needed)})

    def may_ask(self, principal: Principal, name: str) -> bool:
        """Whether there is a provider that may be asked for a model on a principal's behalf."""
        found = self.registry.resolve(name)
        if isinstance(found, Refusal):
            return False
        tags = self.rules.choice_for(found.model).tags | self.required(principal)
        return any(p.offers(found.model) and tags <= p.answers_to for p in self.providers)

    def take(self, x: Exchange, candidate: Candidate, in_s: float = 0.0) -> bool:
        """Take leave to ask a candidate, if it is there to be had."""
        rules = candidate.provider.check if checked(x.principal.key_id) is not None else None
        lease = self.state.lease(candidate.pair, in_s, check=rules)
        if lease is None:
            return False
        self.taken[x] = Taken(lease, len(x.failures))
        return True

    def price(self, x: Exchange, candidate: Candidate) -> Price | None:
        """Return what a call costs at one of its candidates: the price of that model there, or the call's own."""
        if x.outgoing.price is NOT_BILLED:
            return NOT_BILLED
        own = x.outgoing.price if candidate.routed == x.outgoing.model else None
        return self.price_of(candidate, x.call.dialect) or own

    def fail(self, lease: Lease, candidate: Candidate, failure: AttemptFailure) -> None:
        """End a lease by how its attempt failed."""
        rest = self.rest_s(failure.retry_after)
        if failure.status == 429:
            lease.turned_away(rest)
        elif failure.reason == "timeout":
            lease.failed("timeout", waited_s=candidate.provider.timeouts.first_byte)
        else:
            reason = failure.reason if failure.status is None else f"status {failure.status}"
            lease.failed(reason, rest_s=rest)

    def facts(self, model: str) -> Facts:
        """Return what rules can read of each provider, as `provider.NAME.*`, for the model a call asks for."""
        return facts(self.providers, self.state, model, lambda candidate: _per_token(self.price_of(candidate, None)))

    def rest_s(self, advice: str | None) -> float | None:
        """Return for how long a provider wants to be left alone, as far as that is granted."""
        if advice is None or not self.most_rest_s:
            return None
        return rest_s(advice, datetime.datetime.now(datetime.UTC), self.most_rest_s)


def _per_token(price: Price | None) -> float | None:
    """Return the dollars that a token of the answer costs."""
    return None if price is None else price.output / 1_000_000 / NANO_PER_USD


def announce(change: Change, pair: Pair) -> None:
    """Log and count a change of who is asked and who is left alone."""
    provider, model = pair
    METRICS.routing_changes.labels(provider, change).inc()
    fields: dict[str, object] = {"provider": provider, "model": model, "change": change}
    level = logging.INFO if change in ("closed", "half_open") else logging.WARNING
    logger.log(level, "`%s` at `%s` is %s", model, provider, _SAID[change], extra={FIELDS: fields})


_SAID: dict[Change, str] = {
    "closed": "asked again as before",
    "open": "failing and left alone",
    "half_open": "asked once, to see whether it is well",
    "ejected": "failing more often than others and asked last",
    "resting": "left alone for as long as it asked to be",
}
