"""Where it goes: the providers that offer the model, in order of preference; or those that a rule names."""

import logging
import random
from collections.abc import Sequence

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.policy.effects import routing
from jupiter_addons.routing.plan import plan
from jupiter_addons.routing.provider import Provider
from jupiter_addons.stages.stage import failing_over, stage
from jupiter_addons.telemetry.logs import FIELDS

logger = logging.getLogger("jupiter.policy")


class PlanRoute:
    """Model + dialect -> candidates."""

    def __init__(self, providers: Sequence[Provider], *, refuse_unpriced: bool, stand_ins: bool) -> None:
        self._providers = tuple(providers)
        self._refuse_unpriced = refuse_unpriced
        self._stand_ins = stand_ins
        self._dice = random.SystemRandom().random

    @stage
    def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Plan the route, or refuse a model that nobody offers or that has no price."""
        routed = routing(x.decision.effects)
        route = plan(
            x.outgoing.model,
            x.call.dialect,
            self._providers,
            only=x.intercepted,
            dice=self._dice,
            stand_ins=self._stand_ins,
            named=(routed.provider, *routed.fallback) if routed is not None and routed.provider else None,
        )
        if isinstance(route, Refusal):
            if routed is not None:
                logger.error(
                    "rule `%s` routes where nobody answers: %s",
                    routed.by,
                    route.message,
                    extra={FIELDS: {"call": x.call_id}},
                )
            x.refuse(route)
        elif x.outgoing.price is None and self._refuse_unpriced:
            message = f"model `{x.outgoing.model[:100]}` has no known price and cannot be budgeted"
            x.refuse(Refusal("model_not_found", message, param="model"))
        else:
            x.route = route
            x.next_candidate = 0

    @failing_over
    def upstream_attempt_failed(self, attempt: Attempt, x: Exchange) -> None:
        """Name the next candidate; the same one again if it was only a kept connection that had gone."""
        if attempt.failure.reason != "stale":
            x.next_candidate += 1
        if x.next_candidate >= len(x.route.candidates):
            attempt.give_up()
