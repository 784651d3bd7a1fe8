"""What is seen: one log line and the metrics of each exchange.  Nothing here can refuse."""

import logging
import time

from mitmproxy import http

from jupiter_addons.exchange import Exchange
from jupiter_addons.stages.stage import watching
from jupiter_addons.telemetry.logs import FIELDS
from jupiter_addons.telemetry.metrics import METRICS
from jupiter_addons.units import NANO_PER_USD

logger = logging.getLogger("jupiter.access")


class Observe:
    """Exchange -> log line, metrics, and the comment column of mitmweb."""

    @watching
    def http_connect(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Observe a refused CONNECT."""
        if x.refusal is not None:
            self._observe(flow, x)

    @watching
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Observe an answered exchange."""
        self._observe(flow, x)

    @watching
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Observe a broken exchange."""
        self._observe(flow, x)

    def _observe(self, flow: http.HTTPFlow, x: Exchange) -> None:
        if not x.filled("principal") and x.refusal is None:
            return  # a health probe
        seconds = (time.monotonic_ns() - x.arrived_ns) / 1e9
        provider = x.candidate.provider.name if x.filled("candidate") else "-"
        verdict = x.verdict if x.filled("decision") else "-"
        code = self._code(x)
        METRICS.requests.labels(x.door, provider, verdict, code).inc()
        METRICS.duration.labels(x.door).observe(seconds)
        if "first_byte" in x.times_ns:
            waited_ns = x.times_ns["first_byte"] - x.times_ns["committed"]
            METRICS.first_byte.labels(provider).observe(waited_ns / 1e9)
        if x.filled("permit") and x.endpoint is not None and (x.call.opaque or x.endpoint.operation == "unknown"):
            METRICS.not_scanned.labels(x.door, x.endpoint.operation).inc()
        if x.filled("charge"):
            METRICS.tokens.labels(provider, "input").inc(x.charge.usage.input_tokens)
            METRICS.tokens.labels(provider, "output").inc(x.charge.usage.output_tokens)
            METRICS.cost.labels(provider).inc(x.charge.nusd / NANO_PER_USD)
        if x.filled("decision"):
            flow.comment = f"{verdict}: {x.decision.rule or 'no rule matched'}"
            flow.marked = ":no_entry:" if x.refusal is not None else ""
        self._log(x, seconds, provider, verdict, code)

    @staticmethod
    def _code(x: Exchange) -> str:
        """Return how it ended in one word: a refusal's code, or of a closed set."""
        if x.refusal is not None:
            return x.refusal.code
        if x.client_closed:
            return "client_closed"
        return "provider_error" if x.filled("reply") and x.reply.error is not None else "ok"

    @staticmethod
    def _log(x: Exchange, seconds: float, provider: str, verdict: str, code: str) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        fields: dict[str, object] = {
            "call": x.call_id,
            "door": x.door,
            "user": x.principal.user if x.filled("principal") else None,
            "operation": x.endpoint.operation if x.endpoint is not None else None,
            "model": x.call.model if x.filled("call") else None,
            "provider": provider,
            "verdict": verdict,
            "code": code,
            "ms": round(seconds * 1000, 1),
        }
        if x.filled("charge"):
            fields["cost_nusd"] = x.charge.nusd
        # Said in the message as well: mitmdump prints nothing else of a record.
        logger.info("call %s by %s: %s", x.call_id, provider, code, extra={FIELDS: fields})
