"""What was answered: open the way for the provider's answer, and read it on its way through.

An event stream is passed on event by event, what is neither JSON nor text piece by piece; anything else is read whole and
then passed on as the bytes received.  What
comes in another dialect than the client's is translated, and of its head only what means the same everywhere is kept.  Every
head is cleaned of what is between us and the provider: connection headers, cookies, account headers.
"""

from mitmproxy import http

from jupiter_addons.dialects import passthrough, translate
from jupiter_addons.dialects.passthrough import Kind
from jupiter_addons.dialects.registry import REPLIES, WIRES
from jupiter_addons.dialects.replies import told
from jupiter_addons.dialects.translation.conversation import Asked
from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.exchange import Exchange, response_headers
from jupiter_addons.host.upstream import is_event_stream
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.stages.meter import Meter
from jupiter_addons.stages.relay import EventRelay, PieceRelay, Translator
from jupiter_addons.stages.stage import closing, stage
from jupiter_addons.units import NanoUsdPerMillion, usd

DROPPED = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate te trailer transfer-encoding upgrade set-cookie set-cookie2"
    b" alt-svc clear-site-data"
    b" x-request-id openai-organization openai-project anthropic-organization-id".split()
)
OF_EVERY_DIALECT = frozenset(b"date retry-after retry-after-ms x-should-retry cache-control".split())
"""What a provider's head says that means the same to a client of another dialect."""


class ReadReply:
    """Provider's answer -> reply, and on to the client."""

    def __init__(
        self,
        *,
        holds_streams: bool,
        most_held_bytes: int,
        ledger: Ledger,
        keep_bytes: int = 0,
    ) -> None:
        """`keep_bytes`: how long a streamed answer may be to be kept for the record."""
        self._holds_streams = holds_streams
        self._most_held_bytes = most_held_bytes
        self._ledger = ledger
        self._keep_bytes = keep_bytes

    @stage
    def responseheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Check and clean the head, choose how the body is passed on, and open the way."""
        response = flow.response
        assert response is not None
        x.upstream_status = response.status_code
        self._check(response, x)
        kind = self._kind(response, x)
        streamed = kind == "events"
        if (streamed or x.spoken != x.call.dialect) and not x.is_passed_on:
            self._check_kind(response, x, streamed=streamed)
        self._clean(response, x)
        if kind != "whole":
            x.relay = self._relay(x) if streamed else PieceRelay(self._keep_bytes)
            response.stream = True
            if streamed:
                response.headers.pop("content-length", None)  # an error event may have to follow
            if flow.client_conn.alpn != b"h2" and "content-length" not in response.headers:
                response.headers["transfer-encoding"] = "chunked"
            response.headers["x-jupiter-cost-usd"] = usd(x.outgoing.profile.hold_nusd)
        x.opened = True

    def _meter(self, x: Exchange) -> Meter | None:
        """Return what holds the stream to its limits, if any are about how long it is."""
        instead = x.held_at.get(x.candidate.provider.name)
        holds = (x.reservation,) if instead is None else (x.reservation, instead)
        if not x.outgoing.call.stream or x.is_passed_on or all(held.bounds_output is None for held in holds):
            return None
        price = x.hold_price
        first = x.route.candidates[0].provider.name
        spared = None if x.candidate.provider.name == first else f"provider:{first}"
        price_out = NanoUsdPerMillion(0) if price is None else price.output
        meter = x.meter = Meter(self._ledger, holds, price_out, spared=spared)
        return meter

    def _kind(self, response: http.Response, x: Exchange) -> Kind:
        """Return how an answer is passed on; what rules have to see, or be told that they cannot, is read whole."""
        if not x.is_passed_on or x.endpoint is None:
            return "events" if is_event_stream(response) else "whole"
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        kind = passthrough.kind(x.endpoint, x.upstream_status, media)
        return "whole" if kind == "raw" and self._holds_streams else kind

    def _relay(self, x: Exchange) -> EventRelay:
        return EventRelay(
            x.call.dialect,
            x.family,
            hold=self._holds_streams,
            most_held_bytes=self._most_held_bytes,
            translator=None if x.spoken == x.call.dialect else Translator(x.spoken, x.call.dialect, _asked(x)),
            meter=self._meter(x),
            keep_last=x.is_passed_on,
            hides_usage=x.filled("counted") and x.counted is not None,
            keep_bytes=self._keep_bytes,
        )

    @staticmethod
    def _check(response: http.Response, x: Exchange) -> None:
        status = response.status_code
        if status < 200:
            raise UpstreamError(Refusal("provider_invalid_response", "the provider answered with an interim status"))
        if 300 <= status < 400:
            raise UpstreamError(Refusal("provider_invalid_response", "the provider redirected, and is not followed"))
        if status in (401, 403) and x.candidate.provider.api_key is not None and x.door == "gateway":
            # The client's key was good; the one that was refused is ours, and what the provider says of it is not for them.
            raise UpstreamError(Refusal("provider_error", "the provider refused the gateway's own credentials"))
        encoding = response.headers.get("content-encoding", "").strip().lower()
        if encoding not in ("", "identity"):
            raise UpstreamError(
                Refusal("provider_invalid_response", "the provider compressed its answer, although told not to")
            )

    @staticmethod
    def _check_kind(response: http.Response, x: Exchange, *, streamed: bool) -> None:
        """Check that an answer is of the kind that its dialect, or its translation, can read.  Raises UpstreamError."""
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if streamed and media != WIRES[x.spoken].stream_type:
            raise UpstreamError(Refusal("provider_invalid_response", "the provider streamed in another format"))
        if x.spoken != x.call.dialect and x.upstream_status < 300 and streamed is not x.outgoing.call.stream:
            wanted = "a stream" if x.outgoing.call.stream else "a whole answer"
            raise UpstreamError(Refusal("provider_invalid_response", f"the provider was asked for {wanted}"))

    def _clean(self, response: http.Response, x: Exchange) -> None:
        named = {token.strip().lower().encode() for token in response.headers.get("connection", "").split(",")}
        fields = [
            field
            for field in response.headers.fields
            if not self._is_dropped(name := field[0].lower()) and name not in named
        ]
        if x.spoken != x.call.dialect:
            wire = WIRES[x.call.dialect]
            kind = wire.stream_type if is_event_stream(response) else "application/json"
            fields = [field for field in fields if field[0].lower() in OF_EVERY_DIALECT]
            fields.append((b"content-type", kind.encode()))
        if x.door == "gateway":  # which pages may read an answer of ours is not the provider's to say
            fields = [field for field in fields if not field[0].lower().startswith(b"access-control-")]
        fields += [(name.encode(), value.encode()) for name, value in response_headers(x).items()]
        response.headers = http.Headers(fields)

    @staticmethod
    def _is_dropped(name: bytes) -> bool:
        return name in DROPPED or name.startswith((b"x-ratelimit-", b"anthropic-ratelimit-", b"x-jupiter-"))

    @closing
    def response(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Read the whole answer, or what a stream amounted to."""
        if not x.opened:
            return
        assert flow.response is not None
        if x.filled("relay"):
            x.reply = x.relay.reply()
            if x.refusal is None:
                x.relay.conclude()
        elif x.refusal is None:
            body = flow.response.raw_content or b""
            x.answered = body
            key = x.candidate.provider.api_key
            if key and key.encode() in body:
                raise UpstreamError(Refusal("provider_error", "the provider's answer held a credential"))
            x.reply = REPLIES[x.spoken](x.upstream_status, body)
            if x.spoken != x.call.dialect:
                body = self._translated(flow.response, x)
            x.rendered = body
            if flow.request.method != "HEAD":
                flow.response.headers["content-length"] = str(len(body))

    @staticmethod
    def _translated(response: http.Response, x: Exchange) -> bytes:
        """Put a whole answer into the client's dialect; return its body.  Raises UpstreamError."""
        client = x.call.dialect
        status, body = translate.reply(x.upstream_status, x.answered, x.spoken, client, _asked(x))
        x.reply = told(REPLIES[client](status, body), x.reply)
        if status != response.status_code:
            response.status_code, response.reason = status, ""
        response.raw_content = body
        return body

    @closing
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Keep what a broken stream had said so far."""
        if x.opened and x.filled("relay"):
            x.reply = x.relay.reply()


def _asked(x: Exchange) -> Asked:
    return translate.asked_by(x.call, call_id=x.call_id, at_s=x.arrived_us // 1_000_000)
