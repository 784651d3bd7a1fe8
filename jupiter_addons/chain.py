"""The chain: the ordered list of stages, and what each is given.  The only place that wires anything.

`Chain` is one mitmproxy addon that holds the stages and calls their hooks in order; hooks are looked up once, not by
walking all addons for each.  mitmproxy runs response hooks in the same order as request hooks, which is why settle,
record and observe stand last.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.tls import TlsData

from jupiter_addons.errors import StoreError
from jupiter_addons.exchange import EXCHANGES, Exchange
from jupiter_addons.host.upstream import Attempt
from jupiter_addons.parts import Parts
from jupiter_addons.stages.amend import Amend
from jupiter_addons.stages.answer import Answer
from jupiter_addons.stages.authenticate import Authenticate
from jupiter_addons.stages.commit import Commit
from jupiter_addons.stages.connect import ConnectTo, InterceptRules
from jupiter_addons.stages.cors import AllowOrigin, CorsRules
from jupiter_addons.stages.decide import Decide
from jupiter_addons.stages.detect import find
from jupiter_addons.stages.downgrade import Downgrade
from jupiter_addons.stages.enrich import Enrich
from jupiter_addons.stages.facts import Surroundings
from jupiter_addons.stages.fallbacks import Fallbacks
from jupiter_addons.stages.hold import HoldProvider
from jupiter_addons.stages.judge import Judge
from jupiter_addons.stages.lease import Learn, TakeLease
from jupiter_addons.stages.notice import NoticeTunnels
from jupiter_addons.stages.observe import Observe
from jupiter_addons.stages.parse import Parse, ParseRules
from jupiter_addons.stages.record import CountRefused, Record
from jupiter_addons.stages.reply import ReadReply
from jupiter_addons.stages.reserve import Reserve
from jupiter_addons.stages.route import PlanRoute
from jupiter_addons.stages.screen import Screen
from jupiter_addons.stages.settle import Settle
from jupiter_addons.stages.stage import end_refused, is_cancelled
from jupiter_addons.stages.tell import TellOfAnswer, TellOfRequest
from jupiter_addons.stages.translate import Translate
from jupiter_addons.stages.warn import Warnings, WarnOfSpent, WarnOfTaken
from jupiter_addons.telemetry.metrics import METRICS

logger = logging.getLogger(__name__)


def build(parts: Parts) -> Sequence[object]:
    """Return the stages in the order a request travels."""
    settings = parts.settings
    cors = settings.proxy.cors
    around = Surroundings(
        environment=settings.environment,
        emergency_mode=settings.policy.emergency_mode,
        usage=parts.usage,
        usage_waits=parts.usage_waits,
        window=parts.window_of,
        providers=parts.router.facts,
    )
    requests = Judge(parts.policies, "request", around)
    answers = Judge(parts.policies, "response", around)
    max_output = settings.processing.tokens.default_max_output
    refuse_unpriced = settings.processing.costs.unknown_model == "refuse"
    warnings = Warnings(parts.stores.ledger, parts.stores.alerts.send, settings.limits.enforcement.alert_webhook)
    return (
        AllowOrigin(
            CorsRules(
                origins=frozenset(cors.allowed_origins),
                headers=cors.allowed_headers,
                exposed=cors.exposed_headers,
                max_age_s=int(cors.max_age),
                credentials=cors.allow_credentials,
            )
            if cors.enabled
            else None
        ),
        Answer(version=parts.version, readiness=parts.readiness),
        Authenticate(parts.stores.keys, parts.directory),
        ConnectTo(
            InterceptRules(
                enabled=settings.intercept.enabled,
                hosts=settings.intercept.hosts,
                unknown_hosts=settings.intercept.unknown_hosts,
                private_tunnels=settings.intercept.private_tunnels,
                own_ports=frozenset((settings.proxy.listen_address[1], settings.proxy.admin_address[1])),
            ),
            parts.leaves.tunnel,
        ),
        Parse(
            parts.models,
            canonical=parts.registry.canonical,
            rules=ParseRules(
                body_limit_bytes=settings.proxy.limits.body,
                upload_limit_bytes=max(settings.proxy.limits.upload, settings.proxy.limits.body),
                unknown_endpoints=settings.intercept.unknown_endpoints,
                batches=settings.proxy.batches,
            ),
        ),
        Enrich(price_for=parts.price_for, default_max_output_tokens=max_output),
        Decide(requests),
        Downgrade(
            parts.stores.ledger,
            models=settings.limits.enforcement.model_downgrades,
            limits_for=parts.limits_for,
            price_for=parts.price_for,
            default_max_output_tokens=max_output,
            judge=requests,
        ),
        Amend(
            price_for=parts.price_for,
            canonical=parts.registry.canonical,
            default_max_output_tokens=max_output,
            body_limit_bytes=settings.proxy.limits.body,
            find=find,
            judge=requests,
        ),
        PlanRoute(
            parts.router,
            Fallbacks(requests, parts.price_for, max_output, refuse_unpriced=refuse_unpriced),
            refuse_unpriced=refuse_unpriced,
            stand_ins=settings.intercept.failover,
        ),
        Reserve(
            parts.stores.ledger,
            limits_for=parts.limits_for,
            limits_at=parts.limits_at,
            counters_for=parts.counters_for,
            price_at=parts.price_at,
            judge=requests,
            lines=parts.lines,
        ),
        WarnOfTaken(warnings),
        TellOfRequest(parts.stores.alerts.send),
        Translate(client_key=settings.intercept.client_key, default_max_output_tokens=max_output),
        HoldProvider(parts.stores.ledger, parts.limits_at),
        TakeLease(parts.router),
        Commit(parts.leaves),
        ReadReply(
            holds_streams=parts.policies.waits_for_answer,
            most_held_bytes=settings.proxy.limits.response,
            ledger=parts.stores.ledger,
            keep_bytes=settings.evidence.content_max if settings.evidence.content == "encrypted" else 0,
        ),
        Screen(answers, waits=parts.policies.waits_for_answer, find=find),
        TellOfAnswer(parts.stores.alerts.send),
        Settle(parts.stores.ledger, parts.price_at),
        Record(parts.leaves),
        WarnOfSpent(warnings),
        CountRefused(parts.leaves),
        Learn(parts.router),
        NoticeTunnels(),
        Observe(),
    )


class Chain:
    """The stages as one addon."""

    name = "jupiter"

    def __init__(self) -> None:
        self._current = Generation(())

    def install(self, stages: Sequence[object]) -> None:
        """Take the stages for requests from now on; without any, no request gets a permit.

        A request that has begun keeps the stages it began with: its rules and its configuration are of one piece.
        """
        self._current = Generation(stages)

    def _generation_of(self, x: Exchange | None) -> "Generation":
        if x is None or not self._current.stages:
            return self._current
        if not x.filled("generation"):
            x.generation = self._current
        return x.generation  # type: ignore[return-value] # only this writes it

    async def _run(self, hook: str, subject: Any) -> None:
        flow = getattr(subject, "flow", subject)
        x = EXCHANGES.get(flow) if isinstance(flow, http.HTTPFlow) else None
        for function in self._generation_of(x).hooks[hook]:
            try:
                pending = function(subject)
                if pending is not None:
                    await pending
            except BaseException as fault:
                if is_cancelled(fault):
                    raise
                self._escaped(f"{hook} of the chain", subject, fault)

    @staticmethod
    def _escaped(where: str, subject: object, fault: BaseException) -> None:
        """End an exchange by a fault that no wrapper has stopped; the stages after it still settle and record."""
        x = EXCHANGES.get(subject)
        if x is not None and not x.recorded and isinstance(subject, http.HTTPFlow):
            end_refused(subject, x, where, fault)
        else:  # what is recorded is what the client gets
            METRICS.faults.labels(where).inc()
            logger.error("%s failed: %r", where, fault, exc_info=fault)

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """A client asks for a tunnel."""
        await self._run("http_connect", flow)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """The head of a request was read."""
        await self._run("requestheaders", flow)

    async def request(self, flow: http.HTTPFlow) -> None:
        """A request was read whole."""
        await self._run("request", flow)

    async def upstream_attempt_failed(self, attempt: Attempt) -> None:
        """An attempt at a provider failed before anything of an answer had gone to the client."""
        await self._run("upstream_attempt_failed", attempt)

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """The head of an answer was read, or an answer of ours is about to go out."""
        await self._run("responseheaders", flow)

    async def response(self, flow: http.HTTPFlow) -> None:
        """An answer is complete, and its end not yet delivered."""
        await self._run("response", flow)

    async def error(self, flow: http.HTTPFlow) -> None:
        """A request or its answer broke off."""
        await self._run("error", flow)

    async def client_disconnected(self, client: Client) -> None:
        """A client connection ended."""
        await self._run("client_disconnected", client)

    async def tls_failed_client(self, data: TlsData) -> None:
        """A client would not have our certificate."""
        await self._run("tls_failed_client", data)

    def next_layer(self, nextlayer: NextLayer) -> None:
        """Bytes arrived for which no protocol has been chosen yet."""
        for function in self._current.hooks["next_layer"]:
            function(nextlayer)

    async def close(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Settle and record an exchange whose stages have not: the guard's last resort.  Raises what they raise."""
        for stage in self._generation_of(x).stages:
            if isinstance(stage, Settle):
                await stage.settle(x)
            elif isinstance(stage, Record):
                await stage.record(flow, x)
        if not x.recorded:
            raise StoreError("no stage is left to record the exchange")


class Generation:
    """The stages of one configuration and their hooks, looked up once."""

    def __init__(self, stages: Sequence[object]) -> None:
        self.stages = stages
        self.hooks: dict[str, tuple[Callable[[Any], Awaitable[None] | None], ...]] = {
            hook: tuple(getattr(stage, hook) for stage in stages if hasattr(stage, hook)) for hook in HOOKS
        }


HOOKS = (
    "http_connect",
    "requestheaders",
    "request",
    "upstream_attempt_failed",
    "responseheaders",
    "response",
    "error",
    "client_disconnected",
    "tls_failed_client",
    "next_layer",
)
