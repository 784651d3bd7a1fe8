"""One request inside mitmproxy's layers: what the stock HttpStream cannot do.

Rule 1: nothing is sent upstream that the guard's permit does not name, however this code is reached (client replay and
request streaming do not pass the guard's hooks).

Rule 2: the client always gets an answer it can read.  A refusal from `requestheaders` goes out before the body is read;
a protocol error becomes a JSON answer or, once a stream has begun, an error event; a bug in here ends the exchange
instead of leaving the client waiting.

Rule 3: the end of an answer waits for its `response` hook.  The terminal event is held back by the relay until the
outcome is durable.

How: the stock generators are driven from outside (`_supervise`), so that each command they yield can be looked at,
replaced or followed by others, without copying their bodies.
"""

import logging
import time
from typing import Any, ClassVar

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    HttpConnectHook,
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
    HttpStream,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    RequestData,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
    ResponseTrailers,
)

from jupiter_addons.dialects import endpoints
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import CONNECTS, EXCHANGES, Exchange, begin
from jupiter_addons.host.answers import refusal_response
from jupiter_addons.host.guard import GATEWAY_FAULT, is_permitted
from jupiter_addons.host.state import Host

logger = logging.getLogger(__name__)

type Commands = layer.CommandGenerator[Any]

AFTER_TERMINAL_S = 0.25
"""How long the end of a stream is awaited after its terminal event, so that the record covers every byte of it.  A
provider that keeps the connection open after `[DONE]` does not delay the client by more than this."""

SMALL_BODY_BYTES = 64 * 1024
"""A refused body up to here is read and dropped, and the connection kept for the next request."""

_ERRORS: dict[ErrorCode, Refusal] = {
    ErrorCode.REQUEST_TOO_LARGE: Refusal("request_too_large", "the request body is too large"),
    ErrorCode.REQUEST_VALIDATION_FAILED: Refusal("bad_request", "the request is not valid HTTP"),
    ErrorCode.DESTINATION_UNKNOWN: Refusal("bad_request", "the request has no valid host header"),
    ErrorCode.GENERIC_CLIENT_ERROR: Refusal("bad_request", "the request is not valid HTTP"),
    ErrorCode.CONNECT_FAILED: Refusal("provider_error", "the provider could not be reached"),
    ErrorCode.GENERIC_SERVER_ERROR: Refusal("provider_error", "the provider ended the connection without an answer"),
    ErrorCode.RESPONSE_TOO_LARGE: Refusal("provider_invalid_response", "the provider's answer is too large"),
    ErrorCode.RESPONSE_VALIDATION_FAILED: Refusal(
        "provider_invalid_response", "the provider's answer is not valid HTTP"
    ),
}
_FROM_UPSTREAM = (ResponseHeaders, ResponseData, ResponseTrailers, ResponseEndOfMessage, ResponseProtocolError)

CUT_SHORT = Refusal("provider_error", "the provider ended the stream before it was complete")


class GuardedStream(HttpStream):
    """One request and its answer."""

    host: ClassVar[Host]
    _absolute = False
    _head_sent = False
    _upstream_over = False
    _ending: commands.RequestWakeup | None = None

    # -- driving the stock generators --------------------------------------------------------------------------------

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Wakeup):
            generator = self._terminal_overdue(event)
        elif self._upstream_over and isinstance(event, _FROM_UPSTREAM):
            return  # late bytes of an upstream that has been cut off
        else:
            generator = super()._handle_event(event)
        yield from self._supervise(generator)

    def _supervise(self, generator: Commands) -> Commands:
        reply: Any = None
        while True:
            try:
                command = generator.send(reply)
            except StopIteration as stop:
                return stop.value
            except BaseException as fault:  # stock leaves the client waiting, or stops the proxy
                if isinstance(fault, GeneratorExit):
                    raise
                yield from self._crashed(fault)
                return None
            if isinstance(command, SendHttp) and command.connection is self.context.client:
                if isinstance(command.event, ResponseProtocolError) and command.event.code is not ErrorCode.KILL:
                    yield from self._answer_error(command.event)
                    reply = None
                    continue
                self._head_sent = self._head_sent or isinstance(command.event, ResponseHeaders)
            elif isinstance(command, (HttpRequestHeadersHook, HttpConnectHook)) and self.flow not in EXCHANGES:
                self._begin_exchange()
            reply = yield command

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

    def _crashed(self, fault: BaseException) -> Commands:
        logger.error("the stream of a request failed: %r", fault, exc_info=fault)
        if self.host.fault is not None:
            self.host.fault("stream", fault)
        x = EXCHANGES.get(self.flow) if hasattr(self, "flow") else None
        if x is None:
            yield commands.CloseConnection(self.context.client)
            self.client_state = self.server_state = self.state_errored
            return
        yield from self._cancel_upstream("gateway fault")
        yield from self._end(x, GATEWAY_FAULT)

    # -- the request --------------------------------------------------------------------------------------------------

    def state_wait_for_request_headers(self, event: RequestHeaders) -> Commands:
        """As stock, but a refusal made in `requestheaders` is answered at once."""
        self._absolute = not event.request.is_http2 and bool(event.request.data.authority)
        generator = super().state_wait_for_request_headers(event)
        reply: Any = None
        while True:
            try:
                command = generator.send(reply)
            except StopIteration:
                return
            reply = yield command
            if isinstance(command, HttpRequestHeadersHook) and not self.flow.error:
                self._limit_declared_body()
                if self.flow.response is not None:
                    generator.close()
                    yield from self._answer_early(unread=not event.end_stream)
                    return

    def _limit_declared_body(self) -> None:
        declared = self.flow.request.headers.get("content-length", "")
        if self.flow.response is None and declared.isdigit() and int(declared) > self.host.limits.body_bytes:
            self._refuse_body(EXCHANGES[self.flow])

    def _refuse_body(self, x: Exchange) -> None:
        limit = self.host.limits.body_bytes
        x.refuse(Refusal("request_too_large", f"the request body is larger than {limit} bytes"))
        assert x.refusal is not None
        self.flow.response = refusal_response(x, x.refusal)

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
        """As stock, with our own bound on the body."""
        limit = self.host.limits.body_bytes
        if isinstance(event, RequestData) and len(self.request_body_buf) + len(event.data) > limit:
            self._refuse_body(EXCHANGES[self.flow])
            yield from self._answer_early(unread=True)
            return
        yield from super().state_consume_request_body(event)

    def make_server_connection(self) -> Commands:
        """Dial, if the permit names exactly what is about to be sent."""
        if not is_permitted(self.flow):
            logger.error("refused to send a request without a permit")
            yield from self.handle_protocol_error(
                ResponseProtocolError(self.stream_id, "no permit", ErrorCode.GENERIC_SERVER_ERROR)
            )
            return False
        connected = yield from super().make_server_connection()
        if connected:
            EXCHANGES[self.flow].times_ns["sent"] = time.monotonic_ns()
        return connected

    # -- the answer ---------------------------------------------------------------------------------------------------

    def state_wait_for_response_headers(self, event: ResponseHeaders) -> Commands:
        """As stock, but the chain may refuse the answer in `responseheaders`; the provider is then cut off."""
        generator = super().state_wait_for_response_headers(event)
        reply: Any = None
        while True:
            try:
                command = generator.send(reply)
            except StopIteration:
                return
            reply = yield command
            x = EXCHANGES.get(self.flow)
            if isinstance(command, HttpResponseHeadersHook) and x is not None and x.refusal is not None:
                generator.close()
                yield from self._answer_instead(x)
                return

    def _answer_instead(self, x: Exchange) -> Commands:
        assert x.refusal is not None
        yield from self._cancel_upstream("refused")
        self.response_body_buf.clear()
        self.flow.response = refusal_response(x, x.refusal)
        yield from self.send_response()

    def _cancel_upstream(self, reason: str) -> Commands:
        layers = self.context.layers
        http_layer = layers[layers.index(self) - 1]
        if self.context.server in getattr(http_layer, "connections", ()) and self.context.server.connected:
            yield SendHttp(RequestProtocolError(self.stream_id, reason, ErrorCode.CANCEL), self.context.server)
        self._upstream_over = True
        self.server_state = self.state_errored

    def state_consume_response_body(self, event: events.Event) -> Commands:
        """As stock, with our own bound on what is buffered."""
        limit = self.host.limits.answer_bytes
        if isinstance(event, ResponseData) and len(self.response_body_buf) + len(event.data) > limit:
            x = EXCHANGES[self.flow]
            x.refuse(_ERRORS[ErrorCode.RESPONSE_TOO_LARGE])
            yield from self._answer_instead(x)
            return
        yield from super().state_consume_response_body(event)

    def state_stream_response_body(self, event: events.Event) -> Commands:
        """Pass a stream on through the exchange's relay."""
        x = EXCHANGES[self.flow]
        if isinstance(event, ResponseData):
            yield from self._to_client(x.relay.feed(event.data))
            if x.relay.ending and self._ending is None:
                self._ending = commands.RequestWakeup(AFTER_TERMINAL_S)
                yield self._ending
        elif isinstance(event, ResponseEndOfMessage):
            x.relay.drain()
            yield from self.send_response(already_streamed=True)
        elif isinstance(event, ResponseTrailers):
            pass  # a field that no HTTP/1.1 client of an event stream reads, and that stock cannot write to one

    def _terminal_overdue(self, event: events.Wakeup) -> Commands:
        if event.command is self._ending and self.server_state == self.state_stream_response_body:
            yield from self._cancel_upstream("complete")
            EXCHANGES[self.flow].relay.drain()
            yield from self.send_response(already_streamed=True)

    def _to_client(self, chunks: list[bytes]) -> Commands:
        if self.context.options.store_streamed_bodies:
            self.response_body_buf += b"".join(chunks)
        for chunk in chunks:
            yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)

    def send_response(self, already_streamed: bool = False) -> Commands:
        """As stock, but what a stream ends with goes out after the `response` hook, when the outcome is durable."""
        x = EXCHANGES.get(self.flow)
        if not already_streamed or x is None:
            yield from super().send_response(already_streamed)
            return
        if self.context.options.store_streamed_bodies:
            assert self.flow.response is not None
            self.flow.response.data.content = bytes(self.response_body_buf)
            self.response_body_buf.clear()
        yield HttpResponseHook(self.flow)
        self.server_state = self.state_done
        if (yield from self.check_killed(False)):
            return
        yield from self._to_client(x.relay.finish() if x.refusal is None else x.relay.abort(x.refusal))
        if self.client_state == self.state_done:
            yield from self.flow_done()

    # -- the ends nobody wanted ---------------------------------------------------------------------------------------

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> Commands:
        """As stock, but the exchange knows how it ended before the `error` hook settles and records it."""
        x = EXCHANGES.get(self.flow) if hasattr(self, "flow") else None
        if x is not None:
            if isinstance(event, RequestProtocolError):
                x.client_closed = True
            elif x.refusal is None:
                x.refuse(CUT_SHORT if self._head_sent else self._refusal_for(event))
            if x.filled("relay") and self._head_sent:
                x.relay.drain()
        yield from super().handle_protocol_error(event)

    @staticmethod
    def _refusal_for(event: ResponseProtocolError) -> Refusal:
        return _ERRORS.get(event.code, GATEWAY_FAULT)

    def _answer_error(self, event: ResponseProtocolError) -> Commands:
        """Tell the client of a protocol error in its own dialect, whatever has been sent so far."""
        x = EXCHANGES.get(self.flow) if hasattr(self, "flow") else None
        if x is None or x.client_closed:
            yield SendHttp(event, self.context.client)
            return
        refusal = x.refusal or self._refusal_for(event)
        if self._head_sent and not x.filled("relay"):
            yield SendHttp(event, self.context.client)  # part of a body with a declared length: only a cut is honest
            return
        yield from self._deliver(x, refusal)

    def _end(self, x: Exchange, refusal: Refusal) -> Commands:
        x.refuse(refusal)
        if not x.recorded:
            yield HttpErrorHook(self.flow)
        yield from self._deliver(x, x.refusal or refusal)
        self.client_state = self.server_state = self.state_errored

    def _deliver(self, x: Exchange, refusal: Refusal) -> Commands:
        if self._head_sent:
            yield from self._to_client(x.relay.abort(refusal))
        else:
            response = self.flow.response = refusal_response(x, refusal)
            if self.client_state != self.state_done and self.context.client.alpn != b"h2":
                response.headers["connection"] = "close"
            self._head_sent = True
            yield SendHttp(ResponseHeaders(self.stream_id, response, end_stream=False), self.context.client)
            yield SendHttp(ResponseData(self.stream_id, response.raw_content or b""), self.context.client)
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
