"""The client's half of a request: its head and body in, and what is done with them.

Rule 1: nothing is sent upstream that the guard's permit does not name, however this code is reached.

Rule 2: a refusal from `requestheaders` goes out before the body is read, and a bug in here ends the exchange instead of
leaving the client waiting.

What happens between the decision and the answer is `upstream`; from the answer on it is `delivery`.
"""

import functools
import logging
import math
import time
from typing import Any

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.net.http import url
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import (
    HTTPMode,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    SendHttp,
    validate_request,
)
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseHeaders,
    ResponseProtocolError,
)

from jupiter_addons.dialects import endpoints
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import CONNECTS, EXCHANGES, begin
from jupiter_addons.host.answers import refusal_response
from jupiter_addons.host.commands import Crashed, Overdue, ShutDown
from jupiter_addons.host.delivery import DeliveringStream
from jupiter_addons.host.permits import GATEWAY_FAULT, SHUTTING_DOWN

logger = logging.getLogger(__name__)

type Commands = layer.CommandGenerator[Any]

SMALL_BODY_BYTES = 64 * 1024
"""A refused body up to here is read and dropped, and the connection kept for the next request."""

_FROM_CLIENT = frozenset({RequestHeaders, RequestData, RequestTrailers, RequestEndOfMessage})

NO_MEMORY = Refusal("overloaded", "too many request bodies are in memory", retry_after_s=1)

_TRAILERS = Refusal("bad_request", "trailers are not accepted")
_TOO_SLOW = Refusal("request_timeout", "the request body came too slowly")
_INVALID = Refusal("bad_request", "the request is not valid HTTP")
_NO_HOST = Refusal("bad_request", "the request has no valid host header")


class GuardedStream(DeliveringStream):
    """One request and its answer."""

    _absolute = False
    _body_began = 0.0
    _deaf = False
    """What still comes of the body is dropped."""

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event; a bug in here ends the exchange, and is not left to whoever waits for an answer."""
        if self._deaf and event.__class__ is RequestData:
            return  # of a body that is refused, while the refusal is being recorded
        try:
            yield from super().handle_event(event)
        except BaseException as fault:
            if isinstance(fault, GeneratorExit) or event.__class__ is Crashed:
                raise
            yield from super().handle_event(Crashed(fault))

    def _handle_event(self, event: events.Event) -> Commands:
        kind = event.__class__
        if kind is events.Start:
            self.client_state = self.state_wait_for_request_headers
        elif kind is Overdue:
            yield from self.late()
        elif kind is ShutDown:
            yield from self._shut_down()
        elif kind is Crashed:
            yield from self._crashed(event.fault)  # type: ignore[attr-defined] # what a Crashed has
        elif kind is RequestProtocolError:
            yield from self.client_left(event)  # type: ignore[arg-type] # as above
        elif kind in _FROM_CLIENT:
            yield from self.client_state(event)
        elif event.stream_id != self.attempt_id:  # type: ignore[attr-defined] # as above
            pass  # INVARIANT: what an abandoned attempt still says is heard by nobody, also if it waited for us in the queue
        elif kind is ResponseProtocolError:
            yield from self.upstream_broke(event)  # type: ignore[arg-type] # as above
        else:
            yield from self.server_state(event)

    def _crashed(self, fault: BaseException) -> Commands:
        logger.error("the stream of a request failed: %r", fault, exc_info=fault)
        if self.host.fault is not None:
            self.host.fault("stream", fault)
        x = EXCHANGES.get(self.flow) if hasattr(self, "flow") else None
        if x is None or self._answered:
            yield commands.CloseConnection(self.context.client)
            self.client_state = self.server_state = self.state_errored
            return
        self._broken = True
        yield from self.abandon("gateway fault")
        yield from self.end_refused(GATEWAY_FAULT)

    def _shut_down(self) -> Commands:
        """The process ends, and does not wait any longer."""
        if hasattr(self, "flow") and not self._closed:
            yield from self.abandon("shutdown")
            yield from self.end_refused(SHUTTING_DOWN)

    # -- the request --------------------------------------------------------------------------------------------------

    def state_wait_for_request_headers(self, event: events.Event) -> Commands:
        """Ask the chain about the head of a request; a refusal is answered before the body is read."""
        assert isinstance(event, RequestHeaders)
        request = event.request
        flow = self.flow = http.HTTPFlow(self.context.client, self.context.server)
        flow.request, flow.live = request, True
        self._absolute = not request.is_http2 and bool(request.data.authority)
        self._begin_exchange()
        if request.method == "CONNECT" and self.mode is HTTPMode.regular:
            yield from self.handle_connect()
            return
        refusal = self._locate(request)
        if refusal is not None:
            self.exchange.refuse(refusal)
            flow.error = mitmflow.Error(refusal.message)
        yield HttpRequestHeadersHook(flow)
        if refusal is not None:
            yield from self.end_refused(refusal)
            return
        if (yield from self.check_killed(True)):
            return
        self._limit_declared_body()
        if flow.response is not None:
            yield from self._answer_early(unread=not event.end_stream)
            return
        if request.headers.get("expect", "").lower() == "100-continue":
            yield SendHttp(ResponseHeaders(self.stream_id, _go_on()), self.context.client)
            del request.headers["expect"]
        self.client_state = self.state_consume_request_body
        self.server_state = self.state_sending
        if not event.end_stream:
            self._body_began = time.monotonic()
            self.deadline = self._body_began + self.host.limits.header_timeout_s
            self.http_layer.clock.wake_by(self.deadline)

    def _begin_exchange(self) -> None:
        request = self.flow.request
        connect = CONNECTS.get(self.flow.client_conn)
        intercepted = connect is not None or self._absolute or request.method == "CONNECT"
        found = None if request.method == "CONNECT" else endpoints.find(request.method, request.path)
        if intercepted and isinstance(found, Refusal) and found.code == "unknown_path":
            found = endpoints.unlisted(request.method, request.path)  # whether it may pass is for the chain to say
        peer = self.context.client.peername
        exchange = begin(
            door="intercept" if intercepted else "gateway",
            endpoint=None if isinstance(found, Refusal) else found,
            family=endpoints.error_family(request.path),
            client_address=peer[0] if peer else "",
            claimed_id=request.headers.get("x-request-id"),
        )
        self.exchange = EXCHANGES[self.flow] = exchange

    def _locate(self, request: http.Request) -> Refusal | None:
        """Check the head, and find out where the client wants to go, as far as it says."""
        # What `framing` has read of HTTP/1 has passed a stricter check than stock's already.
        if validate_request(self.mode, request, request.is_http2) is not None or request.method == "CONNECT":
            return _INVALID
        if self.mode is HTTPMode.transparent:
            assert self.context.server.address
            request.data.host, request.data.port = self.context.server.address
            request.scheme = "https" if self.context.server.tls else "http"
        elif not request.host:
            try:
                host, port = _authority(request.host_header or "")
            except ValueError:
                return _NO_HOST
            in_tls = self.context.client.tls
            request.data.host, request.data.port = host, port or (443 if in_tls else 80)
            request.data.scheme = b"https" if in_tls else b"http"
        if self.mode is HTTPMode.regular and not request.is_http2:
            request.data.authority = b""
        return None

    def _limit_declared_body(self) -> None:
        declared = self.flow.request.headers.get("content-length", "")
        if self.flow.response is None and declared.isdigit():
            self._refuse_body(self._too_much(int(declared)))

    def _too_much(self, size: int) -> Refusal | None:
        """Return why a body of this size cannot be taken now, or make a note of what it takes."""
        x, limits = self.exchange, self.host.limits
        most = limits.upload_bytes if x.takes_files else limits.body_bytes
        if size > most:
            return Refusal("request_too_large", f"the request body is larger than {most} bytes")
        held = 2 * size  # as bytes to be sent, and as the text that was read from them
        if held > x.buffered_bytes + SMALL_BODY_BYTES:
            if sum(other.buffered_bytes for other in self.host.live) - x.buffered_bytes + held > limits.buffered_bytes:
                return NO_MEMORY
            x.buffered_bytes = held
        return None

    def _refuse_body(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            x = self.exchange
            x.refuse(refusal)
            self.flow.response = refusal_response(x, refusal)

    def _answer_early(self, *, unread: bool) -> Commands:
        """Answer although the body may still be to come; what arrives of it is dropped with the stream."""
        assert self.flow.response is not None
        declared = self.flow.request.headers.get("content-length", "")
        soon_over = declared.isdigit() and int(declared) <= SMALL_BODY_BYTES
        if unread and not soon_over and self.context.client.alpn != b"h2":
            self.flow.response.headers["connection"] = "close"
        self.request_body_buf.clear()
        self._deaf = True
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        self.client_state = self.state_done
        yield from self.send_response()
        self.client_state = self.state_errored

    def _refuse_now(self, refusal: Refusal) -> Commands:
        self._refuse_body(refusal)
        yield from self._answer_early(unread=True)

    def late(self) -> Commands:
        """A deadline has passed: that of the body, or one of the answer's."""
        if self.client_state != self.state_consume_request_body:
            yield from super().late()
            return
        limits = self.host.limits
        until = self._body_began + limits.header_timeout_s + len(self.request_body_buf) / limits.body_rate
        if time.monotonic() >= until:
            self.deadline = math.inf
            yield from self._refuse_now(_TOO_SLOW)
        else:
            self.deadline = until
            self.http_layer.clock.wake_by(until)

    def state_consume_request_body(self, event: events.Event) -> Commands:
        """Read the body, within bounds; when it is whole, ask the chain, and do what it said."""
        if isinstance(event, RequestData):
            refusal = self._too_much(len(self.request_body_buf) + len(event.data))
            if refusal is not None:
                yield from self._refuse_now(refusal)
                return
            self.request_body_buf += event.data
        elif isinstance(event, RequestTrailers):
            yield from self._refuse_now(_TRAILERS)
        elif isinstance(event, RequestEndOfMessage):
            self.flow.request.timestamp_end = time.time()
            self.flow.request.data.content = bytes(self.request_body_buf)
            self.request_body_buf.clear()
            self.deadline = math.inf
            self.client_state = self.state_done
            yield HttpRequestHook(self.flow)
            if (yield from self.check_killed(True)):
                return
            if self.flow.response is not None:
                self.flow.response.timestamp_start = time.time()
                yield HttpResponseHeadersHook(self.flow)
                if not (yield from self.check_killed(True)):
                    yield from self.send_response()
            else:
                yield from self.begin_attempt()


@functools.lru_cache(1024)
def _authority(text: str) -> tuple[str, int | None]:
    """Return the host and port of a `Host` header; most clients send the same one again and again.  Raises ValueError."""
    return url.parse_authority(text, check=True)


def _go_on() -> http.Response:
    response = http.Response.make(100)
    response.headers.clear()
    return response
