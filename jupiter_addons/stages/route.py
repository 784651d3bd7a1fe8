"""Where it goes: the providers that can be asked, in order of preference; and who stands in when one fails.

`lease` takes leave to ask the candidate that `translate` has settled on; here it is ended when its attempt fails.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.policy.effects import routing
from jupiter_addons.routing.checks import checked
from jupiter_addons.routing.passed import plan_passed
from jupiter_addons.routing.plan import Candidate, Route, Wanted, plan
from jupiter_addons.routing.registry import Resolved, not_offered
from jupiter_addons.routing.retry import MOST_S, backoff_s
from jupiter_addons.stages.fallbacks import Fallbacks
from jupiter_addons.stages.router import Router
from jupiter_addons.stages.stage import failing_over, stage
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS
from jupiter_addons.units import cost

logger = logging.getLogger("jupiter.policy")


class PlanRoute:
    """Model + dialect -> candidates."""

    def __init__(self, router: Router, fallbacks: Fallbacks, *, refuse_unpriced: bool, stand_ins: bool) -> None:
        self._router = router
        self._fallbacks = fallbacks
        self._refuse_unpriced = refuse_unpriced
        self._stand_ins = stand_ins

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Plan the route, or refuse a model that nobody offers or that has no price."""
        router = self._router
        router.state.budget.deposit(router.state.clock())
        route = await self._plan(x)
        if isinstance(route, Refusal):
            routed = routing(x.decision.effects)
            if routed is not None:
                fields = {"call": x.call_id}
                logger.error(
                    "rule `%s` routes where nobody answers: %s", routed.by, route.message, extra={FIELDS: fields}
                )
            x.refuse(route)
        elif x.outgoing.price is None and self._refuse_unpriced:
            named = f"model `{x.outgoing.model[:100]}`" if x.outgoing.model else "a call that names no model"
            message = f"{named} has no known price and cannot be budgeted"
            x.refuse(Refusal("model_not_found", message, param="model"))
        else:
            x.route = route
            x.next_candidate = 0

    async def _plan(self, x: Exchange) -> Route | Refusal:
        router = self._router
        if not x.is_passed_on or x.endpoint is None:
            wanted = self._wanted(x)
            if isinstance(wanted, Refusal):
                return wanted
            if others := self._others(x, wanted):
                wanted = replace(wanted, fallbacks=await self._fallbacks.among(x, others))
            return plan(wanted, router.providers, router.rules, router.state)
        endpoint = x.endpoint
        if x.outgoing.model and endpoint.body != "any":
            wanted = self._wanted(x)
            if isinstance(wanted, Refusal):
                return wanted
            able = [provider for provider in router.providers if provider.has(endpoint.path)]
            return plan(wanted, able, router.rules, router.state)
        routed = routing(x.decision.effects)
        wanted = Wanted(
            "",
            x.call.dialect,
            only=x.intercepted,
            named=(routed.provider, *routed.fallback) if routed is not None and routed.provider else None,
            tags=router.rules.choice.tags | router.required(x.principal),
        )
        one = endpoint.operation in ("files", "batches")
        return plan_passed(wanted, endpoint.path, router.providers, router.state, one=one)

    def _wanted(self, x: Exchange) -> Wanted | Refusal:
        """Return what the call wants of routing, under the one name that its model has."""
        registry = self._router.registry
        model, only = x.outgoing.model, x.intercepted
        resolved = registry.resolve(model)
        if isinstance(resolved, Refusal):
            return resolved
        if resolved.model != model:
            # INVARIANT: rules, limits and prices have seen the model that is asked for, not another name of it.
            return not_offered(model)
        routed = routing(x.decision.effects)
        spelled = x.outgoing.call.body.get("model") if routed is None or routed.model is None else routed.model
        if isinstance(spelled, str) and spelled != model:
            named = registry.resolve(spelled)  # it may name a provider as well
            resolved = named if isinstance(named, Resolved) and named.model == model else resolved
        if only is not None and resolved.provider not in (None, only):
            return not_offered(model)
        wanted = (routed.provider, *routed.fallback) if routed is not None and routed.provider else None
        pinned = checked(x.principal.key_id)
        if pinned is not None and wanted is not None and pinned not in wanted:
            return Refusal("no_provider", f"a rule routes the health checks of `{pinned}` elsewhere")
        return Wanted(
            resolved.model,
            x.call.dialect,
            only=pinned or only or resolved.provider,
            stand_ins=only is not None and self._stand_ins,
            named=wanted if pinned is None else None,
            check=pinned is not None,
            tags=self._router.required(x.principal),
            affinity=self._affinity(x),
            cost=lambda candidate: self._cost(x, candidate),
        )

    def _others(self, x: Exchange, wanted: Wanted) -> Sequence[Resolved]:
        """Return the models that could stand in; none where the client means one provider, and wants no other."""
        if wanted.check or (wanted.only is not None and not wanted.stand_ins):
            return ()
        return self._router.rules.fallbacks_for(wanted.model)

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
        price, profile = self._router.price(x, candidate), x.outgoing.profile
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
        candidates = x.route.candidates
        for place in range(x.next_candidate + 1, len(candidates)):
            wait_s = self._wait_s(candidates, place)
            if wait_s is None:
                continue
            if not router.state.budget.take(router.state.clock()):
                METRICS.retries.labels("no_budget").inc()
                break
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
