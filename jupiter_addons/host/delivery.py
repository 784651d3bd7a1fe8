"""The answer's way to the client, and every way an exchange can end.

An answer's end waits for its `response` hook: the terminal event of a stream is held back by the relay until the outcome
is durable.  Whatever else happens, the client gets something it can read: a protocol error becomes a JSON answer or, once a
stream has begun, an error event.  Either hook that settles and records, `response` or `error`, is asked exactly once.
"""

import time
from typing import Any

from mitmproxy import flow as mitmflow
from mitmproxy.net.http import validate
from mitmproxy.proxy import commands, layer
from mitmproxy.proxy.layers.http import (
    DropStream,
    ErrorCode,
    HttpErrorHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import (
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from jupiter_addons.errors import Refusal, UpstreamError
from jupiter_addons.exchange import EXCHANGES, Exchange
from jupiter_addons.host.answers import refusal_response
from jupiter_addons.host.permits import GATEWAY_FAULT
from jupiter_addons.host.upstream import UpstreamStream

type Commands = layer.CommandGenerator[Any]

AFTER_TERMINAL_S = 0.25
"""How long the end of a stream may take after its terminal event, which is held back until then so that the record covers
every byte of it.  A provider that keeps the connection open after `[DONE]` does not delay the client by more than this."""

_INVALID_ANSWER = Refusal("provider_invalid_response", "the provider's answer is not valid HTTP")


class DeliveringStream(UpstreamStream):
    """What of a request happens from its answer on."""

    _stores = False
    """Whether what is streamed is kept as well, for mitmweb; an option that costs something to look up."""
    _closed = False
    """The hook that settles and records, `response` or `error`, has been asked."""
    _answered = False
    """The end of the answer has gone out."""
    _broken = False
    """A bug has ended the exchange: what it has left behind is not asked for anything more."""

    def _open(self, head: ResponseHeaders) -> layer.CommandGenerator[bool]:
        """Ask the chain about the head of an answer; return whether it may be delivered."""
        x, response = self.exchange, head.response
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
        if self.flow.response is head.response or (yield from self._open(head)):
            assert self.flow.response is not None
            self.flow.response.data.content = body
            yield from self.send_response()

    def open_stream(self, head: ResponseHeaders) -> Commands:
        """Ask the chain about the head of an event stream; return whether its events are to be read now."""
        if not (yield from self._open(head)):
            return False
        self._stores = self.context.options.store_streamed_bodies
        if not self.exchange.filled("relay"):
            self.server_state = self.state_read_whole
            return False
        return True

    def pass_on(self, data: bytes) -> Commands:
        """Give bytes of an event stream to the relay, and what it lets go to the client, after the head."""
        relay = self.exchange.relay
        try:
            chunks = relay.feed(data)
        except UpstreamError as error:
            yield from self.abandon("invalid")
            yield from self.end_refused(error.refusal)
            return
        yield from self._to_client(chunks)
        if relay.cut:
            yield from self.abandon("limit")
            yield from self.end_stream()
        elif relay.ending and not self._ending:
            self._wake_in(AFTER_TERMINAL_S)
            self._ending = True

    def _to_client(self, chunks: list[bytes]) -> Commands:
        if not chunks:
            return
        if not self._head_sent:
            self._head_sent = True
            self.server_state = self.state_stream_response_body
            assert self.flow.response is not None
            self.exchange.head_status = self.flow.response.status_code
            yield SendHttp(ResponseHeaders(self.stream_id, self.flow.response), self.context.client)
        if self._stores:
            self.response_body_buf += b"".join(chunks)
        for chunk in chunks:
            yield SendHttp(ResponseData(self.stream_id, chunk), self.context.client)

    def end_stream(self) -> Commands:
        """End an event stream that is complete."""
        self.exchange.relay.drain()
        yield from self.send_response(already_streamed=True)

    def send_response(self, already_streamed: bool = False) -> Commands:
        """Run the `response` hook; what the answer ends with goes out after it, when the outcome is durable."""
        flow, x = self.flow, EXCHANGES.get(self.flow)
        assert flow.response is not None
        flow.response.timestamp_end = time.time()
        if already_streamed and self._stores:
            flow.response.data.content = bytes(self.response_body_buf)
        self.response_body_buf.clear()
        self._closed = True
        yield HttpResponseHook(flow)
        self.server_state = self.state_done
        if (yield from self.check_killed(False)):
            return
        if x is not None and x.refusal is not None and self._head_sent and x.filled("relay") and not x.relay.is_framed:
            yield from self._cut()
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
            flow.live, self._answered = False, True
            yield DropStream(self.stream_id)
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)

    # -- the ends nobody wanted ---------------------------------------------------------------------------------------

    def late(self) -> Commands:
        """A deadline has passed."""
        if self._ending and time.monotonic() >= self.deadline:
            yield from self.abandon("complete")
            yield from self.end_stream()
        else:
            yield from self.overdue()

    def client_left(self, event: RequestProtocolError) -> Commands:
        """The client hung up, or broke the protocol: the provider is cancelled, the exchange settled and recorded."""
        if not hasattr(self, "flow"):
            yield DropStream(self.stream_id)
            return
        x = EXCHANGES.get(self.flow)
        if x is not None:
            x.client_closed = True
        yield from self.abandon("the client is gone")
        self.client_state = self.server_state = self.state_errored
        self.request_body_buf.clear()
        if not self._closed:
            self.flow.error = mitmflow.Error(event.message)
            if x is not None and x.filled("relay") and not self._broken:
                x.relay.drain()
            self._closed = True
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        yield DropStream(self.stream_id)

    def check_killed(self, emit_error_hook: bool) -> layer.CommandGenerator[bool]:
        """As stock; whoever was killed is closed by it."""
        killed: bool = yield from super().check_killed(emit_error_hook and not self._closed)
        self._closed = self._closed or killed
        return killed

    def end_refused(self, refusal: Refusal) -> Commands:
        """End the exchange with an error: a JSON answer or, once a stream has begun, an error event."""
        x = self.exchange
        if x.refusal is None or refusal is GATEWAY_FAULT:
            x.refuse(refusal)
        self.server_state = self.state_errored
        if x.filled("relay") and not self._broken:
            x.relay.drain()
        if not self._closed or not x.recorded:
            self.flow.error = self.flow.error or mitmflow.Error(refusal.message)
            self._closed = True
            yield HttpErrorHook(self.flow)
        self.flow.live = False
        if not x.client_closed:
            yield from self._deliver(x, x.refusal or refusal)
        self.client_state = self.state_errored

    def _cut(self) -> Commands:
        """Break off an answer of which part has gone out and which no error can follow: only a cut is honest."""
        yield SendHttp(ResponseProtocolError(self.stream_id, "", ErrorCode.KILL), self.context.client)
        yield DropStream(self.stream_id)

    def _deliver(self, x: Exchange, refusal: Refusal) -> Commands:
        if not self._head_sent:
            response = self.flow.response = refusal_response(x, refusal)
            if self.client_state != self.state_done and self.context.client.alpn != b"h2":
                response.headers["connection"] = "close"
            self._head_sent = True
            yield SendHttp(ResponseHeaders(self.stream_id, response), self.context.client)
            yield SendHttp(ResponseData(self.stream_id, response.raw_content or b""), self.context.client)
        elif x.filled("relay") and x.relay.is_framed:
            yield from self._to_client(x.relay.abort(refusal))
        else:
            yield from self._cut()
            return
        self._answered = True
        yield DropStream(self.stream_id)
        yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
        if x.filled("relay") and self.context.client.alpn != b"h2":
            yield commands.CloseConnection(self.context.client)
