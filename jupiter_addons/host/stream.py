"""The client's half of a request: its head and body in, its answer out, and every way it can end.

Rule 1: nothing is sent upstream that the guard's permit does not name, however this code is reached.

Rule 2: the client always gets an answer it can read.  A refusal from `requestheaders` goes out before the body is read;
a protocol error becomes a JSON answer or, once a stream has begun, an error event; a bug in here ends the exchange
instead of leaving the client waiting.

Rule 3: the end of an answer waits for its `response` hook.  The terminal event is held back by the relay until the
outcome is durable.

What happens between the decision and the answer is `upstream`.
"""

import logging
import time
from typing import Any

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.net.http import url, validate
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    HttpErrorHook,
    HTTPMode,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
    SendHttp,
    validate_request,
)
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    RequestTrailers,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from jupiter_addons.dialects import endpoints
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import CONNECTS, EXCHANGES, Exchange, begin
from jupiter_addons.host.answers import refusal_response
from jupiter_addons.host.commands import Crashed, Overdue
from jupiter_addons.host.permits import GATEWAY_FAULT
from jupiter_addons.host.upstream import UpstreamStream

logger = logging.getLogger(__name__)

type Commands = layer.CommandGenerator[Any]

AFTER_TERMINAL_S = 0.25
"""How long the end of a stream may take after its terminal event, which is held back until then so that the record covers
every byte of it.  A provider that keeps the connection open after `[DONE]` does not delay the client by more than this."""

SMALL_BODY_BYTES = 64 * 1024
"""A refused body up to here is read and dropped, and the connection kept for the next request."""

_INVALID = Refusal("bad_request", "the request is not valid HTTP")
_NO_HOST = Refusal("bad_request", "the request has no valid host header")
_INVALID_ANSWER = Refusal("provider_invalid_response", "the provider's answer is not valid HTTP")


class GuardedStream(UpstreamStream):
    """One request and its answer."""

    _absolute = False
    _ending = False

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event; a bug in here ends the exchange, and is not left to whoever waits for an answer."""
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
            yield from self._late()
        elif kind is Crashed:
            yield from self._crashed(event.fault)  # type: ignore[attr-defined] # what a Crashed has
        elif kind is RequestProtocolError:
            yield from self._client_left(event)  # type: ignore[arg-type] # as above
        elif kind is ResponseProtocolError:
            if self.server_state not in (self.state_done, self.state_errored):
                yield from self.upstream_broke(event)  # type: ignore[arg-type] # as above
        elif isinstance(event, (RequestHeaders, RequestData, RequestTrailers, RequestEndOfMessage)):
            yield from self.client_state(event)
        else:
            yield from self.server_state(event)

    def _crashed(self, fault: BaseException) -> Commands:
        logger.error("the stream of a request failed: %r", fault, exc_info=fault)
        if self.host.fault is not None:
            self.host.fault("stream", fault)
        x = EXCHANGES.get(self.flow) if hasattr(self, "flow") else None
        if x is None:
            yield commands.CloseConnection(self.context.client)
            self.client_state = self.server_state = self.state_errored
            return
        yield from self.abandon("gateway fault")
        yield from self.end_refused(GATEWAY_FAULT)

    # -- the request --------------------------------------------------------------------------------------------------

    def state_wait_for_request_headers(self, event: events.Event) -> Commands:
        """Ask the chain about the head of a request; a refusal is answered before the body is read."""
        assert isinstance(event, RequestHeaders)
        request = event.request
        flow = self.flow = http.HTTPFlow(self.context.client, self.context.server)
        flow.request, flow.live = request, True
        self._absolute = not request.is_http2 and bool(request.data.authority)
        self._begin_exchange()
        if request.method == "CONNECT":
            yield from self.handle_connect()
            return
        refusal = self._locate(request)
        if refusal is not None:
            EXCHANGES[flow].refuse(refusal)
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

    def _begin_exchange(self) -> None:
        request = self.flow.request
        connect = CONNECTS.get(self.flow.client_conn)
        intercepted = connect is not None or self._absolute or request.method == "CONNECT"
        found = None if request.method == "CONNECT" else endpoints.find(request.method, request.path)
        peer = self.context.client.peername
        EXCHANGES[self.flow] = begin(
            door="intercept" if intercepted else "gateway",
            endpoint=None if isinstance(found, Refusal) else found,
            family=endpoints.error_family(request.path),
            client_address=peer[0] if peer else "",
            claimed_id=request.headers.get("x-request-id"),
        )

    def _locate(self, request: http.Request) -> Refusal | None:
        """Check the head, and find out where the client wants to go, as far as it says."""
        if validate_request(self.mode, request, True) is not None:
            return _INVALID
        if self.mode is HTTPMode.transparent:
            assert self.context.server.address
            request.data.host, request.data.port = self.context.server.address
            request.scheme = "https" if self.context.server.tls else "http"
        elif not request.host:
            try:
                host, port = url.parse_authority(request.host_header or "", check=True)
            except ValueError:
                return _NO_HOST
            in_tls = self.context.client.tls
            request.data.host, request.data.port = host, port or (443 if in_tls else 80)
            request.scheme = "https" if in_tls else "http"
        if self.mode is HTTPMode.regular and not request.is_http2:
            request.authority = ""
        return None

    def _limit_declared_body(self) -> None:
        declared = self.flow.request.headers.get("content-length", "")
        if self.flow.response is None and declared.isdigit() and int(declared) > self.host.limits.body_bytes:
            self._refuse_body()

    def _refuse_body(self) -> None:
        x, limit = EXCHANGES[self.flow], self.host.limits.body_bytes
        refusal = Refusal("request_too_large", f"the request body is larger than {limit} bytes")
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
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            return
        self.client_state = self.state_done
        yield from self.send_response()
        self.client_state = self.state_errored

    def state_consume_request_body(self, event: events.Event) -> Commands:
        """Read the body, within bounds; when it is whole, ask the chain, and do what it said."""
        if isinstance(event, RequestData):
            if len(self.request_body_buf) + len(event.data) > self.host.limits.body_bytes:
                self._refuse_body()
                yield from self._answer_early(unread=True)
                return
            self.request_body_buf += event.data
        elif isinstance(event, RequestTrailers):
            self.flow.request.trailers = event.trailers
        elif isinstance(event, RequestEndOfMessage):
            self.flow.request.timestamp_end = time.time()
            self.flow.request.data.content = bytes(self.request_body_buf)
            self.request_body_buf.clear()
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

    # -- the answer ---------------------------------------------------------------------------------------------------

    def _open(self, head: ResponseHeaders) -> layer.CommandGenerator[bool]:
        """Ask the chain about the head of an answer; return whether it may be delivered."""
        x, response = EXCHANGES[self.flow], head.response
        try:
            validate.validate_headers(response)
        except ValueError:
            yield from self.abandon("invalid")
            yield from self.end_refused(_INVALID_ANSWER)
            return False
        if response.is_http2 and self.context.client.alpn != b"h2":
            response.http_version, response.reason = "HTTP/1.1", ""
        self.flow.response = response
        yield HttpResponseHeadersHook(self.flow)
        if (yield from self.check_killed(True)):
            yield from self.abandon("killed")
            return False
        if x.refusal is not None:
            yield from self.abandon("refused")
            self.flow.response = refusal_response(x, x.refusal)
            yield from self.send_response()
            return False
        return True

    def answer(self, head: ResponseHeaders, body: bytes) -> Commands:
        """Deliver a whole answer, if the chain lets it pass."""
        if (yield from self._open(head)):
            assert self.flow.response is not None
            self.flow.response.data.content = body
            yield from self.send_response()

    def open_stream(self, head: ResponseHeaders) -> Commands:
        """Ask the chain about the head of an event stream; return whether its events are to be read now."""
        if not (yield from self._open(head)):
            return False
        if not EXCHANGES[self.flow].filled("relay"):
            self.server_state = self.state_read_whole
            return False
        return True

    def pass_on(self, data: bytes) -> Commands:
        """Give bytes of an event stream to the relay, and what it lets go to the client, after the head."""
        relay = EXCHANGES[self.flow].relay
        yield from self._to_client(relay.feed(data))
        if relay.ending and not self._ending:
            self._ending = True
            self._wake_in(AFTER_TERMINAL_S)

    def _to_client(self, chunks: list[bytes]) -> Commands:
        if not chunks:
            return
        if not self._head_sent:
            self._head_sent = True
            self.server_state = self.state_stream_response_body
            assert self.flow.response is not None
            yield SendHttp(ResponseHeaders(self.stream_id, self.flow.response), self.context.client)
        if self.context.options.store_streamed_bodies:
            self.response_body_buf += b"".join(chunks)
        for chunk in chunks:
            yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)

    def end_stream(self) -> Commands:
        """End an event stream that is complete."""
        EXCHANGES[self.flow].relay.drain()
        yield from self.send_response(already_streamed=True)

    def send_response(self, already_streamed: bool = False) -> Commands:
        """Run the `response` hook; what the answer ends with goes out after it, when the outcome is durable."""
        flow, x = self.flow, EXCHANGES.get(self.flow)
        assert flow.response is not None
        flow.response.timestamp_end = time.time()
        if already_streamed and self.context.options.store_streamed_bodies:
            flow.response.data.content = bytes(self.response_body_buf)
        self.response_body_buf.clear()
        yield HttpResponseHook(flow)
        self.server_state = self.state_done
        if (yield from self.check_killed(False)):
            return
        if already_streamed and x is not None and x.filled("relay") and (self._head_sent or x.refusal is None):
            yield from self._to_client(x.relay.finish() if x.refusal is None else x.relay.abort(x.refusal))
        if not self._head_sent:
            self._head_sent = True
            content = flow.response.raw_content
            yield SendHttp(ResponseHeaders(self.stream_id, flow.response, end_stream=not content), self.context.client)
            if content:
                yield SendHttp(ResponseData(self.stream_id, content), self.context.client)
        if self.client_state == self.state_done:
            flow.live = False
            yield DropStream(self.stream_id)
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    # -- the ends nobody wanted ---------------------------------------------------------------------------------------

    def _late(self) -> Commands:
        if self._ending and time.monotonic() >= self.deadline:
            yield from self.abandon("complete")
            yield from self.end_stream()
        else:
            yield from self.overdue()

    def _client_left(self, event: RequestProtocolError) -> Commands:
        """The client hung up, or broke the protocol: the provider is cancelled, the exchange settled and recorded."""
        if not hasattr(self, "flow"):
            yield DropStream(self.stream_id)
            return
        over = self.client_state == self.state_errored or self.server_state in (self.state_done, self.state_errored)
        x = EXCHANGES.get(self.flow)
        if x is not None:
            x.client_closed = True
        yield from self.abandon("the client is gone")
        self.client_state = self.server_state = self.state_errored
        self.request_body_buf.clear()
        if not over:
            self.flow.error = mitmflow.Error(event.message)
            if x is not None and x.filled("relay"):
                x.relay.drain()
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)

    def end_refused(self, refusal: Refusal) -> Commands:
        """End the exchange with an error: a JSON answer or, once a stream has begun, an error event."""
        x = EXCHANGES[self.flow]
        if x.refusal is None or refusal is GATEWAY_FAULT:
            x.refuse(refusal)
        self.server_state = self.state_errored
        if x.filled("relay"):
            x.relay.drain()
        if not x.recorded:
            self.flow.error = self.flow.error or mitmflow.Error(refusal.message)
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        if not x.client_closed:
            yield from self._deliver(x, x.refusal or refusal)
        self.client_state = self.state_errored

    def _deliver(self, x: Exchange, refusal: Refusal) -> Commands:
        if not self._head_sent:
            response = self.flow.response = refusal_response(x, refusal)
            if self.client_state != self.state_done and self.context.client.alpn != b"h2":
                response.headers["connection"] = "close"
            self._head_sent = True
            yield SendHttp(ResponseHeaders(self.stream_id, response), self.context.client)
            yield SendHttp(ResponseData(self.stream_id, response.raw_content or b""), self.context.client)
        elif x.filled("relay"):
            yield from self._to_client(x.relay.abort(refusal))
        else:  # part of an answer of declared length: only a cut is honest
            yield SendHttp(ResponseProtocolError(self.stream_id, "", ErrorCode.KILL), self.context.client)
            yield DropStream(self.stream_id)
            return
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)


def _go_on() -> http.Response:
    response = http.Response.make(100)
    response.headers.clear()
    return response
