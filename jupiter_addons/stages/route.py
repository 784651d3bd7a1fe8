"""Where it goes: the providers that can be asked, in order of preference; who stands in when one fails; and what is learned
of each from what became of it.

`PlanRoute` takes a lease before anything is sent and ends it when an attempt fails.  `Learn`, at the end of the chain, ends the
last one by what the exchange came to: only there is it known whether an answer was one.
"""

import datetime
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from mitmproxy import http

from jupiter_addons.enrichment.prices import Price
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import AttemptFailure, Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.policy.effects import routing
from jupiter_addons.routing.plan import Candidate, RoutingRules, Wanted, plan
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.registry import Registry, Resolved, not_offered
from jupiter_addons.routing.retry import MOST_S, backoff_s, rest_s
from jupiter_addons.routing.state import Change, Lease, Pair, RoutingState
from jupiter_addons.settings.schema_routing import Sticky
from jupiter_addons.stages.stage import failing_over, stage, watching
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS
from jupiter_addons.units import cost

logger = logging.getLogger("jupiter.routing")

THEIRS = frozenset({"provider_error", "provider_invalid_response", "deadline_exceeded"})
"""The refusals that are a provider's fault."""
FAILING = frozenset({401, 403})
"""Of answers to keys of our own: nobody's call can succeed there."""


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
    price_of: Callable[[Candidate], Price | None]
    sticky: Sticky
    residency: str | None
    """The attribute of a principal that names what its providers must have."""
    most_rest_s: float
    taken: WeakKeyDictionary[Exchange, Taken] = field(default_factory=WeakKeyDictionary)

    def take(self, x: Exchange, candidate: Candidate, in_s: float = 0.0) -> bool:
        """Take leave to ask a candidate, if it is there to be had."""
        lease = self.state.lease(candidate.pair, in_s)
        if lease is None:
            return False
        self.taken[x] = Taken(lease, len(x.failures))
        return True

    def fail(self, lease: Lease, candidate: Candidate, failure: AttemptFailure) -> None:
        """End a lease by how its attempt failed."""
        rest = self.rest_s(failure.retry_after)
        if failure.status == 429:
            lease.turned_away(rest)
        elif failure.reason == "timeout":
            lease.failed(waited_s=candidate.provider.timeouts.first_byte)
        else:
            lease.failed(rest_s=rest)

    def rest_s(self, advice: str | None) -> float | None:
        """Return for how long a provider wants to be left alone, as far as that is granted."""
        if advice is None or not self.most_rest_s:
            return None
        return rest_s(advice, datetime.datetime.now(datetime.UTC), self.most_rest_s)


class PlanRoute:
    """Model + dialect -> candidates."""

    def __init__(self, router: Router, *, refuse_unpriced: bool, stand_ins: bool) -> None:
        self._router = router
        self._refuse_unpriced = refuse_unpriced
        self._stand_ins = stand_ins

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Plan the route, or refuse a model that nobody offers or that has no price."""
        router = self._router
        router.state.budget.deposit(router.state.clock())
        wanted = self._wanted(x)
        route = wanted if isinstance(wanted, Refusal) else plan(wanted, router.providers, router.rules, router.state)
        if isinstance(route, Refusal):
            routed = routing(x.decision.effects)
            if routed is not None:
                fields = {"call": x.call_id}
                logger.error(
                    "rule `%s` routes where nobody answers: %s", routed.by, route.message, extra={FIELDS: fields}
                )
            x.refuse(route)
        elif x.outgoing.price is None and self._refuse_unpriced:
            message = f"model `{x.outgoing.model[:100]}` has no known price and cannot be budgeted"
            x.refuse(Refusal("model_not_found", message, param="model"))
        else:
            x.route = route
            x.next_candidate = 0
            router.take(x, route.candidates[0])

    def _wanted(self, x: Exchange) -> Wanted | Refusal:
        """Return what the call wants of routing, under the one name that its model has."""
        registry = self._router.registry
        model, only = x.outgoing.model, x.intercepted
        resolved = registry.resolve(model)
        if isinstance(resolved, Refusal):
            return resolved
        routed = routing(x.decision.effects)
        if routed is None or routed.model is None:
            if resolved.model != model:
                # INVARIANT: rules, limits and prices have seen the model that is asked for, not another name of it.
                return not_offered(model)
            spelled = x.outgoing.call.body.get("model")
            asked = registry.resolve(spelled) if isinstance(spelled, str) else resolved
            if isinstance(asked, Resolved) and asked.model == model:
                resolved = asked
        if only is not None and resolved.provider not in (None, only):
            return not_offered(model)
        return Wanted(
            resolved.model,
            x.call.dialect,
            only=only or resolved.provider,
            stand_ins=only is not None and self._stand_ins,
            named=(routed.provider, *routed.fallback) if routed is not None and routed.provider else None,
            tags=self._required(x),
            affinity=self._affinity(x),
            cost=lambda candidate: self._cost(x, candidate),
        )

    def _required(self, x: Exchange) -> frozenset[str]:
        """Return what the caller's providers must have."""
        name = self._router.residency
        needed = x.principal.attributes.get(name) if name is not None else None
        return frozenset() if needed is None else frozenset({str(needed)})

    def _affinity(self, x: Exchange) -> str | None:
        sticky = self._router.sticky
        match sticky.by:
            case "user":
                return x.principal.user
            case "key":
                return x.principal.key_id
            case "session":
                name = sticky.header.encode().lower()
                found = next((value for key, value in x.head if key.lower() == name), None)
                # Under the user's name, so that nobody can choose where another one's sessions go.
                return None if found is None else f"{x.principal.user}/{found.decode('latin-1')}"

    def _cost(self, x: Exchange, candidate: Candidate) -> int | None:
        price, profile = self._router.price_of(candidate) or x.outgoing.price, x.outgoing.profile
        if price is None:
            return None
        return cost(profile.input_tokens_estimate, price.input) + cost(profile.output_tokens_max, price.output)

    @failing_over
    def upstream_attempt_failed(self, attempt: Attempt, x: Exchange) -> None:
        """Name the next candidate; the same one again if it was only a kept connection that had gone."""
        router, failure = self._router, attempt.failure
        taken = router.taken[x]
        if failure.reason == "stale":
            taken.failures = len(x.failures)
            return
        router.fail(taken.lease, x.candidate, failure)
        candidates, now_s = x.route.candidates, router.state.clock()
        for place in range(x.next_candidate + 1, len(candidates)):
            wait_s = self._wait_s(candidates, place)
            if wait_s is None:
                continue
            if not router.state.budget.take(now_s):
                METRICS.retries.labels("no_budget").inc()
                break
            if router.take(x, candidates[place], wait_s):
                METRICS.retries.labels("made").inc()
                x.next_candidate = place
                attempt.delay_s = wait_s
                return
        attempt.give_up()

    def _wait_s(self, candidates: Sequence[Candidate], place: int) -> float | None:
        """Return how long to wait before a candidate is asked, or None if it is not to be: at once, unless for another time."""
        state, pair = self._router.state, candidates[place].pair
        times = sum(candidate.pair == pair for candidate in candidates[:place])
        rests_s = state.wait_s(pair)
        if not times:
            return None if rests_s else 0.0
        return None if rests_s > MOST_S else max(rests_s, backoff_s(times, state.dice))


class Learn:
    """What became of a call -> what is known of its provider."""

    def __init__(self, router: Router) -> None:
        self._router = router

    @watching
    def responseheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """A stream that has begun proves that the provider is there: others need not wait for its end to try."""
        taken = self._router.taken.get(x)
        if taken is not None and taken.lease.is_probe and x.filled("relay") and x.refusal is None:
            taken.lease.answered(_first_byte_s(x))

    @watching
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Learn from an answer."""
        self._learn(flow, x)

    @watching
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Learn from an exchange that broke off."""
        self._learn(flow, x)

    def _learn(self, flow: http.HTTPFlow, x: Exchange) -> None:
        taken = self._router.taken.pop(x, None)
        if taken is None or taken.lease.is_over:
            return
        lease = taken.lease
        if len(x.failures) > taken.failures:
            self._router.fail(lease, x.candidate, x.failures[-1])
        elif not x.filled("upstream_status"):
            waited = x.client_closed and "sent" in x.times_ns
            lease.released((time.monotonic_ns() - x.times_ns["sent"]) / 1e9 if waited else None)
        elif x.upstream_status == 429:
            lease.turned_away(self._router.rest_s(_advice(flow)))
        elif _has_failed(x):
            lease.failed(rest_s=self._router.rest_s(_advice(flow)) if x.upstream_status >= 500 else None)
        elif x.upstream_status < 300 and not x.client_closed:
            lease.answered(_first_byte_s(x))
        else:
            lease.answered()


def _has_failed(x: Exchange) -> bool:
    """Whether the answer was the provider's failure; 4xx is the client's own, unless it is our key that is refused."""
    status = x.upstream_status
    if x.refusal is not None:
        return x.refusal.code in THEIRS and (status < 400 or status >= 500 or status in FAILING)
    if status >= 500:
        return True
    return (
        status < 300
        and not x.client_closed
        and x.filled("reply")
        and (x.reply.error is not None or not x.reply.complete)
    )


def _first_byte_s(x: Exchange) -> float | None:
    sent_ns, first_ns = x.times_ns.get("sent"), x.times_ns.get("first_byte")
    return None if sent_ns is None or first_ns is None else (first_ns - sent_ns) / 1e9


def _advice(flow: http.HTTPFlow) -> str | None:
    return None if flow.response is None else flow.response.headers.get("retry-after")


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
