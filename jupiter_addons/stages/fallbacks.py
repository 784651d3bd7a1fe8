"""Which other models may be asked in place of the one that a call wants: those of which the rules say the same.

The rules are asked about each as if the client had asked for it.  One that they deny is not asked.  Nor is one that they treat
otherwise, be it only by another limit or another alert: the call that was amended, held and told of is not the call they mean
then.  What a rule only notes (tags, scores, log lines) makes no difference.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from jupiter_addons.dialects.call import Call
from jupiter_addons.enrichment.describe import describe
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.exchange import Exchange
from jupiter_addons.policy.decide import Decision
from jupiter_addons.policy.effects import AlertLine, Demand, Effect, Routing, Setting
from jupiter_addons.routing.registry import Resolved
from jupiter_addons.stages.facts import Seen
from jupiter_addons.stages.judge import Judge
from jupiter_addons.telemetry.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """The other models of one call."""

    judge: Judge
    price_for: Callable[[Call], Price | None]
    default_max_output_tokens: int
    refuse_unpriced: bool

    async def among(self, x: Exchange, models: Sequence[Resolved]) -> tuple[Resolved, ...]:
        """Return those of the models that may be asked in place of the one that the call wants."""
        if any(map(_says_who, x.decision.effects)):
            return ()
        return tuple([other for other in models if await self._may_be_asked(x, other)])

    async def _may_be_asked(self, x: Exchange, other: Resolved) -> bool:
        call = replace(x.call, model=other.model)
        price = self.price_for(call)
        if price is None and self.refuse_unpriced:
            METRICS.fallbacks_refused.labels("unpriced").inc()
            return False
        profile = describe(call, price, x.plain_bytes, self.default_max_output_tokens)
        decision = await self.judge.beside(x, x.plain_bytes, seen=Seen(call, profile, x.findings))
        if decision.verdict == "deny":
            METRICS.fallbacks_refused.labels("denied").inc()
            return False
        if _meant(decision) != _meant(x.decision):
            METRICS.fallbacks_refused.labels("treated_otherwise").inc()
            return False
        return True


_MODEL = "request.model"


def _says_who(effect: Effect) -> bool:
    """Whether a rule has said which model or which provider is asked."""
    return isinstance(effect, Routing) or (isinstance(effect, Setting) and effect.field == _MODEL)


def _meant(decision: Decision) -> tuple[Sequence[Effect], Sequence[Demand]]:
    """Return what a decision does, in a form in which two can be compared: the words of an alert may well name the model."""
    effects = [replace(one, message="") if isinstance(one, AlertLine) else one for one in decision.effects]
    return effects, decision.demands
