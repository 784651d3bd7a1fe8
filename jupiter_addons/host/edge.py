"""The HTTP/1 edge: how much head a client may send, how long it may take, and what is not accepted at all.

mitmproxy's own reader keeps every byte of a head that never ends, pipelined bytes without bound, and answers in HTML.
This subclass bounds all of it and answers in JSON.  The reading itself stays stock.
"""

from typing import Any, ClassVar

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import Http1Server, ReceiveHttp
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import ErrorCode, RequestHeaders, RequestProtocolError, ResponseEndOfMessage

from jupiter_addons.dialects import endpoints
from jupiter_addons.errors import Refusal
from jupiter_addons.host.answers import bare_refusal
from jupiter_addons.host.state import Host

type Commands = layer.CommandGenerator[Any]

UNREAD_BYTES = 1024 * 1024
"""How much of a refused body is read and dropped before the connection is cut: closing at once would reset the
connection and could destroy the refusal on its way (RFC 9112, section 9.6)."""
UNREAD_S = 2.0

HEADERS_TOO_LARGE = Refusal("headers_too_large", "the request head is too large")


def error_response(status: int, message: str = "") -> bytes:
    """Replace mitmproxy's HTML for requests that could not be parsed (`_http1.make_error_response`).

    `message` quotes the client's bytes and goes no further.
    """
    code = {431: "headers_too_large", 413: "request_too_large"}.get(status, "bad_request")
    return bare_refusal("openai", Refusal(code, "the request is not valid HTTP", status=status))


class EdgeServer(Http1Server):
    """The client's side of an HTTP/1 connection, bounded."""

    host: ClassVar[Host]
    _head_timer: commands.RequestWakeup | None = None
    _unread_timer: commands.RequestWakeup | None = None
    _unread_bytes = 0

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Wakeup):
            yield from self._overdue(event)
            return
        if isinstance(event, events.DataReceived):
            if self._unread_timer is not None:
                self._unread_bytes += len(event.data)
            surplus = self.state == self.wait and len(self.buf) + len(event.data) > self.host.limits.header_bytes
            if surplus or self._unread_bytes > UNREAD_BYTES:
                yield commands.CloseConnection(self.conn)
                return
        try:
            yield from super()._handle_event(event)
        except NotImplementedError:  # trailers: stock logs a crash and leaves the client waiting
            yield from self._reject(Refusal("bad_request", "trailers are not accepted"))

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """As stock, within the limits on bytes, count and time."""
        for command in super().read_headers(event):
            if isinstance(command, commands.Log):
                continue  # stock quotes the bytes of a broken head, and with them the credentials in it
            if isinstance(command, ReceiveHttp) and isinstance(command.event, RequestHeaders):
                self._head_timer = self._unread_timer = None
                self._unread_bytes = 0
                refusal = self._inspect(command.event)
                if refusal is not None:
                    yield from self._reject(refusal)
                    return
            yield command
        if self.state == self.read_headers and len(self.buf):
            if len(self.buf) > self.host.limits.header_bytes:
                yield from self._reject(HEADERS_TOO_LARGE)
            elif self._head_timer is None:
                self._head_timer = commands.RequestWakeup(self.host.limits.header_timeout_s)
                yield self._head_timer

    def _inspect(self, event: RequestHeaders) -> Refusal | None:
        headers, limits = event.request.headers, self.host.limits
        size = sum(len(name) + len(value) + 4 for name, value in headers.fields) + len(event.request.data.path)
        if len(headers.fields) > limits.header_count or size > limits.header_bytes:
            return HEADERS_TOO_LARGE
        if len(headers.get_all("host")) > 1:
            return Refusal("bad_request", "the request has more than one host header")
        if event.request.http_version != "HTTP/1.1" and event.request.method != "GET":
            # An older client cannot read a chunked stream; GET stays, load balancers probe with HTTP/1.0.
            return Refusal("bad_request", "HTTP/1.1 or newer is required")
        if event.request.method != "CONNECT" and "upgrade" in headers:
            return Refusal("upgrade_refused", "upgrades are not accepted here")
        return None

    def _reject(self, refusal: Refusal) -> Commands:
        """Answer without a flow: there is no request that a stage could look at."""
        family = endpoints.error_family(self.request.path) if self.request else "openai"
        if self.host.rejected is not None and self.conn.peername:
            self.host.rejected(self.conn.peername[0], refusal.code)
        yield commands.SendData(self.conn, bare_refusal(family, refusal))
        yield commands.CloseConnection(self.conn)
        if self.request is not None and self.state == self.read_body:
            yield ReceiveHttp(RequestProtocolError(self.stream_id, refusal.message, ErrorCode.GENERIC_CLIENT_ERROR))
        self.state = self.done

    def _overdue(self, event: events.Wakeup) -> Commands:
        if event.command is self._head_timer and self.state == self.read_headers:
            yield from self._reject(Refusal("request_timeout", "the request head did not arrive in time"))
        elif event.command is self._unread_timer and not self.request_done:
            yield commands.CloseConnection(self.conn)

    def send(self, event: HttpEvent) -> Commands:
        """As stock; after an answer that overtook its request, the rest of the body is read for a while and dropped."""
        yield from super().send(event)
        if isinstance(event, ResponseEndOfMessage) and self.response_done and not self.request_done:
            self._unread_timer = commands.RequestWakeup(UNREAD_S)
            yield self._unread_timer
