"""The upstream's side of an HTTP/1 connection: heads bounded, interim answers skipped, the connection kept if it can be.

Stock takes `103 Early Hints` for the answer, reads a head without bound and quotes it in its errors, and looks up the
same headers again after every message.
"""

import re
from typing import Any

from mitmproxy import http
from mitmproxy.connection import ConnectionState
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import Http1Client, ReceiveHttp
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import make_body_reader

from jupiter_addons.host.commands import CLOSED

type Commands = layer.CommandGenerator[Any]

HEAD_BYTES = 64 * 1024
"""The longest head of an answer."""
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
INTERIM = 16
"""How many interim answers (1xx) may come before one that counts."""


class UpstreamHttp1(Http1Client):
    """One request after the other; each has a body of known length, sent whole."""

    _keep = True
    _interim = 0

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event; this layer never waits for anything."""
        return self._handle_event(event)

    def _handle_event(self, event: events.Event) -> Commands:
        try:
            yield from super()._handle_event(event)
        except NotImplementedError:  # trailers, which stock cannot read
            yield from self._broken("the provider's answer has trailers")

    def send(self, event: HttpEvent) -> Commands:
        """Send a request, or give up on it."""
        if isinstance(event, RequestHeaders):
            self.stream_id, self.request = event.stream_id, event.request
            self._interim = 0
            yield commands.SendData(self.conn, http1.assemble_request_head(event.request))
        elif isinstance(event, RequestData):
            yield commands.SendData(self.conn, event.data)
        elif isinstance(event, RequestEndOfMessage):
            yield from self.mark_done(request=True)
        elif isinstance(event, RequestProtocolError):
            yield commands.CloseConnection(self.conn)

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Read the head of an answer; interim ones are skipped (RFC 9110, section 15.2)."""
        if isinstance(event, events.ConnectionClosed):
            if self.conn.state & ConnectionState.CAN_WRITE:
                yield commands.CloseConnection(self.conn)
            if self.stream_id is not None:
                untouched = not self.buf and not self._interim
                yield from self._broken(CLOSED if untouched else "the provider closed the connection within its answer")
            return
        while self.state == self.read_headers:
            if self.request is None:
                yield commands.CloseConnection(self.conn)  # bytes that nobody asked for
                return
            lines = self.buf.maybe_extract_lines()
            if not lines:
                if len(self.buf) > HEAD_BYTES:
                    yield from self._broken("the head of the provider's answer is too long")
                return
            if sum(map(len, lines)) > HEAD_BYTES:
                yield from self._broken("the head of the provider's answer is too long")
                return
            if not (yield from self._read(lines)):
                return

    def _read(self, lines: list[Any]) -> layer.CommandGenerator[bool]:
        """Read one head; return whether it was an interim one."""
        assert self.request is not None
        assert self.stream_id is not None
        try:
            response = http1.read_response_head([bytes(line) for line in lines])
            if 100 <= response.status_code < 200:
                self._interim += 1
                if response.status_code == 101 or self._interim > INTERIM:
                    raise ValueError("an interim answer that leads nowhere")
                return True
            size = http1.expected_http_body_size(self.request, response)
            if _has_controls(response):
                raise ValueError("control characters, which other readers may take for line ends")
            if "transfer-encoding" in response.headers and "content-length" in response.headers:
                raise ValueError("two lengths, of which another reader may take the other")
        except ValueError:
            yield from self._broken("the provider's answer is not valid HTTP")
            return False
        self.response = response
        self._keep = size != -1 and not _closes(response)
        self.body_reader = make_body_reader(size)
        self.state = self.read_body
        yield ReceiveHttp(ResponseHeaders(self.stream_id, response, size == 0))
        yield from self.state(events.DataReceived(self.conn, b""))
        return False

    def _broken(self, message: str) -> Commands:
        yield commands.CloseConnection(self.conn)
        self.state = self.done
        if self.stream_id is not None:
            yield ReceiveHttp(ResponseProtocolError(self.stream_id, message, ErrorCode.GENERIC_SERVER_ERROR))

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Get ready for the next request once both directions are through."""
        self.request_done = self.request_done or request
        self.response_done = self.response_done or response
        if not (self.request_done and self.response_done):
            return
        self.request_done = self.response_done = False
        self.stream_id = self.request = self.response = None
        self.state = self.read_headers
        if not self._keep or self.buf:
            yield commands.CloseConnection(self.conn)
            self.state = self.done


def _closes(response: http.Response) -> bool:
    """Whether the provider ends the connection after this answer (RFC 9112, section 9.3; stock minds the letters' case)."""
    options = {token.strip().lower() for value in response.headers.get_all("connection") for token in value.split(",")}
    return "close" in options or (response.http_version != "HTTP/1.1" and "keep-alive" not in options)


def _has_controls(response: http.Response) -> bool:
    """Whether a header or the reason phrase has a byte that RFC 9110, section 5.5, keeps out of it."""
    texts = [response.data.reason, *(value for _, value in response.headers.fields)]
    return any(_CONTROLS.search(text) for text in texts)
