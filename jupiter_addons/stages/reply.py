"""What was answered: open the way for the provider's answer, and read it on its way through.

An event stream is passed on event by event; anything else is read whole and then passed on as the bytes received.  The
head is cleaned of what is between us and the provider: connection headers, cookies, account headers.
"""

from collections.abc import Callable

from mitmproxy import http

from jupiter_addons.dialects.registry import REPLIES
from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.exchange import Exchange, response_headers
from jupiter_addons.host.upstream import is_event_stream
from jupiter_addons.limits.ledger import Reservation
from jupiter_addons.stages.relay import EventRelay
from jupiter_addons.stages.stage import closing, stage
from jupiter_addons.units import usd

DROPPED = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate te trailer transfer-encoding upgrade set-cookie set-cookie2"
    b" alt-svc clear-site-data"
    b" x-request-id openai-organization openai-project anthropic-organization-id".split()
)


class ReadReply:
    """Provider's answer -> reply, and on to the client."""

    def __init__(
        self, *, holds_streams: bool, most_held_bytes: int, rate_headers: Callable[[Reservation], dict[str, str]]
    ) -> None:
        self._holds_streams = holds_streams
        self._most_held_bytes = most_held_bytes
        self._rate_headers = rate_headers

    @stage
    def responseheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Check and clean the head, choose how the body is passed on, and open the way."""
        response = flow.response
        assert response is not None
        x.upstream_status = response.status_code
        self._check(response, x)
        streamed = is_event_stream(response)
        self._clean(response, x)
        if streamed:
            x.relay = EventRelay(
                x.call.dialect, x.family, hold=self._holds_streams, most_held_bytes=self._most_held_bytes
            )
            response.stream = True
            response.headers.pop("content-length", None)  # an error event may have to follow
            if flow.client_conn.alpn != b"h2":
                response.headers["transfer-encoding"] = "chunked"
            response.headers["x-jupiter-cost-usd"] = usd(x.outgoing.profile.hold_nusd)
        x.opened = True

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

    def _clean(self, response: http.Response, x: Exchange) -> None:
        named = {token.strip().lower().encode() for token in response.headers.get("connection", "").split(",")}
        fields = [
            field
            for field in response.headers.fields
            if not self._is_dropped(name := field[0].lower()) and name not in named
        ]
        if x.door == "gateway":  # which pages may read an answer of ours is not the provider's to say
            fields = [field for field in fields if not field[0].lower().startswith(b"access-control-")]
        ours = {**response_headers(x), **self._rate_headers(x.reservation)}
        fields += [(name.encode(), value.encode()) for name, value in ours.items()]
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
        elif x.refusal is None:
            body = flow.response.raw_content or b""
            x.answered = body
            key = x.candidate.provider.api_key
            if key and key.encode() in body:
                raise UpstreamError(Refusal("provider_error", "the provider's answer held a credential"))
            flow.response.headers["content-length"] = str(len(body))
            x.reply = REPLIES[x.call.dialect](x.upstream_status, body)

    @closing
    def error(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Keep what a broken stream had said so far."""
        if x.opened and x.filled("relay"):
            x.reply = x.relay.reply()
