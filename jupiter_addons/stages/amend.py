"""What rules make of the call: the body changed in the places they name, checked again as if a client had sent it so.

A change that cannot be made, or that leaves no valid call, ends the exchange: what a rule wanted changed is not sent as it
came.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mitmproxy import http

from jupiter_addons.dialects import encodings, passthrough
from jupiter_addons.dialects.call import Call
from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.strict import scan
from jupiter_addons.enrichment.describe import describe
from jupiter_addons.enrichment.findings import Findings
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.errors import EffectError, RequestError
from jupiter_addons.exchange import Exchange, Outgoing
from jupiter_addons.policy.again import ROUNDS, compare
from jupiter_addons.policy.amend import Amended, amend
from jupiter_addons.policy.effects import Addition, Effect, Redaction, Setting, routing
from jupiter_addons.policy.redact import Find
from jupiter_addons.stages.facts import Seen
from jupiter_addons.stages.judge import UNAVAILABLE, Judge, denial
from jupiter_addons.stages.stage import stage
from jupiter_addons.telemetry.logs import FIELDS

logger = logging.getLogger("jupiter.policy")

AT_ONCE_BYTES = 8 * 1024
"""A larger body is changed beside the event loop: each finding of a redaction takes about 8 µs, and there may be one a byte."""


class Amend:
    """Decision + call -> outgoing call."""

    def __init__(
        self,
        *,
        price_for: Callable[[Call], Price | None],
        canonical: Callable[[str], str],
        default_max_output_tokens: int,
        body_limit_bytes: int,
        find: Find | None,
        judge: Judge,
    ) -> None:
        """`canonical` takes a name of a model to the one that rules, limits and prices know.

        `find` is what detects; None if nothing does.  `judge` is asked about what has been changed.
        """
        self._judge = judge
        self._price_for = price_for
        self._canonical = canonical
        self._default_max_output_tokens = default_max_output_tokens
        self._body_limit_bytes = body_limit_bytes
        self._find = find
        self._editor = ThreadPoolExecutor(1, "amend")

    @stage
    async def request(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Carry out the effects of the decision."""
        routed = routing(x.decision.effects)
        wanted = self._canonical(routed.model) if routed is not None and routed.model is not None else None
        model = x.call.model if wanted is None else wanted
        effects: list[Effect] = [e for e in x.decision.effects if isinstance(e, (Setting, Addition, Redaction))]
        if not effects and model == x.call.model:
            x.outgoing = Outgoing(x.call, x.received, True, model, x.price, x.profile)
            return
        coding = flow.request.headers.get("content-encoding", "")
        try:
            if x.is_passed_on:
                _check_passed_on(x, effects, model)
            call, amended = await self._settled(x, coding, effects)
        except EffectError as error:
            logger.error("%s", error, extra={FIELDS: {"call": x.call_id}})
            x.refuse(UNAVAILABLE)
            return
        if x.decision.verdict == "deny":
            x.refuse(denial(x.decision))
            return
        model = call.model if wanted is None else wanted
        price = self._price_for(replace(call, model=model))
        profile = describe(call, price, len(amended.body), self._default_max_output_tokens)
        x.outgoing = Outgoing(call, amended.body, False, model, price, profile, amended.changes, amended.vault.contents)

    async def _settled(self, x: Exchange, coding: str, effects: list[Effect]) -> tuple[Call, Amended]:
        """Return the call as it is to be once the rules have nothing more to say of it.  Raises EffectError."""
        turns = self._judge.turns(x.decision)
        for _ in range(ROUNDS):
            call, amended = await self._beside(x, coding, effects)
            judged = [effect for effect in effects if not isinstance(effect, Addition)]
            if not judged or not amended.changes:
                return call, amended
            # What an author wants added is the author's own word, and not judged.
            left = call if len(judged) == len(effects) else (await self._beside(x, coding, judged))[0]
            profile = describe(left, x.price, x.plain_bytes, self._default_max_output_tokens)
            second = await self._judge.beside(x, x.plain_bytes, seen=Seen(left, profile, Findings.of(left)))
            thoughts = compare(x.decision, second, turns)
            if thoughts.denies:
                x.decide(second)
            if thoughts.denies or not thoughts.effects:
                return call, amended
            effects = [*effects, *thoughts.effects]
            x.decide(replace(x.decision, effects=(*x.decision.effects, *thoughts.effects)))
        raise EffectError("what rules change of this call calls for another change each time")

    async def _beside(self, x: Exchange, coding: str, effects: Sequence[Effect]) -> tuple[Call, Amended]:
        if x.plain_bytes <= AT_ONCE_BYTES:
            return self._amended(x, coding, effects)
        return await asyncio.get_running_loop().run_in_executor(self._editor, self._amended, x, coding, effects)

    def _amended(self, x: Exchange, coding: str, effects: Sequence[Effect]) -> tuple[Call, Amended]:
        """Return the call as it is to be.  Raises EffectError."""
        blind = next((effect.by for effect in effects if isinstance(effect, Redaction)), None)
        if x.call.opaque and blind is not None:
            raise EffectError(f"rule `{blind}` redacts, and what stands at `{x.call.opaque[0]}` cannot be read")
        plain = encodings.decode(coding, x.received, self._body_limit_bytes)
        amended = amend(x.call.dialect, plain, effects, self._find)
        if not amended.changes:
            return x.call, amended
        try:
            body = scan(amended.body)
            call = passthrough.again(x.call, body) if x.is_passed_on else PARSERS[x.call.dialect](body)
        except RequestError as error:
            rules = ", ".join(sorted({change.rule for change in amended.changes}))
            raise EffectError(f"what is left by {rules} is no valid call: {error}") from error
        return replace(call, model=self._canonical(call.model)), amended


def _check_passed_on(x: Exchange, effects: Sequence[Effect], model: str) -> None:
    """Raise EffectError if rules want of a call what cannot be done with what is passed on as it came."""
    assert x.endpoint is not None
    if effects and (not x.call.is_json or x.endpoint.body in ("any", "none")):
        raise EffectError(f"rule `{effects[0].by}` changes a call whose body is not JSON, or not known")
    if model != x.call.model and (not x.call.model or x.endpoint.body == "any"):
        raise EffectError("a rule names a model for a call that has none to be replaced")
