"""The HTTP/1 edge: how much head a client may send, how long it may take, and what is not accepted at all.

mitmproxy's own reader keeps every byte of a head that never ends, pipelined bytes without bound, and answers in HTML.
This subclass bounds all of it and answers in JSON; what a head and a chunk are is `framing`'s.
"""

from typing import Any, ClassVar

from mitmproxy import http
from mitmproxy.net.http import http1
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import Http1Server, ReceiveHttp
from mitmproxy.proxy.layers.http._base import HttpEvent
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
)
from mitmproxy.proxy.layers.http._http1 import make_body_reader

from jupiter_addons.dialects import endpoints
from jupiter_addons.errors import Refusal
from jupiter_addons.host import framing
from jupiter_addons.host.answers import bare_refusal
from jupiter_addons.host.doorkeeper import turned_away
from jupiter_addons.host.framing import CHUNKED, ChunkedBody, Head
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
    _scanned = 0
    """How much of a head that is not whole yet has been looked at."""
    _chunked = False
    _head_only = False
    """The answer has no body, whatever its length says (RFC 9110, section 9.3.2)."""
    _closing = False
    """The client wants the connection closed after its answer."""
    _last = False

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event; this layer never waits for anything."""
        return self._handle_event(event)

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.Wakeup):
            yield from self._overdue(event)
            return
        if isinstance(event, events.DataReceived):
            if self._unread_timer is not None:
                self._unread_bytes += len(event.data)
            if self.host.is_pressed and self.state == self.read_headers and not self.buf:
                refused = turned_away(self.host, self.conn.peername, event.data)
                if refused:
                    yield commands.SendData(self.conn, refused)
                    return
            surplus = self.state == self.wait and len(self.buf) + len(event.data) > self.host.limits.header_bytes
            if surplus or self._unread_bytes > UNREAD_BYTES:
                yield commands.CloseConnection(self.conn)
                return
        try:
            yield from super()._handle_event(event)
        except framing.MalformedError as error:
            yield from self._reject(Refusal("bad_request", str(error)))

    def read_headers(self, event: events.ConnectionEvent) -> Commands:
        """Read the head of a request, within the limits on bytes, count and time."""
        if isinstance(event, events.ConnectionClosed):
            yield commands.CloseConnection(self.conn)
            return
        waiting = bytes(self.buf)
        if waiting.startswith(b"\r\n") and self._scanned < 2:  # one empty line may come first (RFC 9112, section 2.2)
            self.buf.maybe_extract_at_most(2)
            waiting, self._scanned = waiting[2:], 0
        end = waiting.find(b"\r\n\r\n", max(0, self._scanned - 3))
        if end < 0 or end > self.host.limits.header_bytes:
            yield from self._wait_for_head(waiting)
            return
        self.buf.maybe_extract_at_most(end + 4)
        self._scanned = 0
        self._head_timer = self._unread_timer = None
        self._unread_bytes = 0
        head = framing.read_head(waiting[:end])
        if isinstance(head, Refusal):
            yield from self._reject(head)
            return
        self.request = head.request
        # Noted now: the chain makes the provider's request out of the client's.
        self._head_only = head.request.method == "HEAD"
        old = head.request.http_version != "HTTP/1.1" and head.request.method != "CONNECT"
        self._closing = _asks_to_close(head.request.headers) or old
        refusal = self._inspect(head)
        if refusal is not None:
            yield from self._reject(refusal)
            return
        yield ReceiveHttp(RequestHeaders(self.stream_id, head.request, head.body == 0))
        self.body_reader: Any = ChunkedBody() if head.body == CHUNKED else make_body_reader(head.body)
        self.state = self.read_body
        yield from self.state(events.DataReceived(self.conn, b""))

    def _wait_for_head(self, waiting: bytes) -> Commands:
        if len(waiting) > self.host.limits.header_bytes:
            yield from self._reject(HEADERS_TOO_LARGE)
        elif framing.has_stray(waiting, max(0, self._scanned - 3)):
            yield from self._reject(Refusal("bad_request", "a line of the request head ends otherwise than in CRLF"))
        elif waiting:
            self._scanned = len(waiting)
            if self._head_timer is None:
                self._head_timer = commands.RequestWakeup(self.host.limits.header_timeout_s)
                yield self._head_timer

    def _inspect(self, head: Head) -> Refusal | None:
        request, limits = head.request, self.host.limits
        if len(request.headers.fields) > limits.header_count:
            return HEADERS_TOO_LARGE
        if request.http_version != "HTTP/1.1" and request.method not in ("GET", "CONNECT"):
            # An older client cannot read a chunked stream.  Load balancers probe with HTTP/1.0, and Python before 3.12 asks
            # for tunnels with it.
            return Refusal("bad_request", "HTTP/1.1 or newer is required")
        if request.method == "CONNECT":
            return None if head.body == 0 else Refusal("bad_request", "CONNECT has no body")
        if "upgrade" in request.headers:
            return Refusal("upgrade_refused", "upgrades are not accepted here")
        return None

    def _reject(self, refusal: Refusal) -> Commands:
        """Answer without a flow: there is no request that a stage could look at."""
        family = endpoints.error_family(self.request.path) if self.request else "openai"
        self.host.tell_rejected(self.conn.peername, refusal.code)
        if self.response is None:
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
        """Send an answer; the headers that say how it is framed are looked at once."""
        kind = event.__class__
        if kind is ResponseHeaders and not event.response.is_http2:  # type: ignore[attr-defined] # what it has
            self.response = response = event.response  # type: ignore[attr-defined] # as above
            if self.host.draining and self.request is not None and self.request.method != "CONNECT":
                response.headers["connection"] = "close"
            self._frame(response)
            yield commands.SendData(self.conn, http1.assemble_response_head(response))
        elif kind is ResponseData:
            data: bytes = event.data  # type: ignore[attr-defined] # as above
            if data and not self._head_only:
                yield commands.SendData(self.conn, b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)
        elif kind is ResponseEndOfMessage:
            assert self.request is not None
            if self._chunked and not self._head_only:
                yield commands.SendData(self.conn, b"0\r\n\r\n")
            yield from self.mark_done(response=True)
            if self.response_done and not self.request_done:
                # The answer has overtaken its request: the rest of the body is read for a while, and dropped.
                self._unread_timer = commands.RequestWakeup(UNREAD_S)
                yield self._unread_timer
        else:
            yield from super().send(event)

    def _frame(self, response: http.Response) -> None:
        """Note whether the body is chunked, and whether the connection ends with it."""
        self._chunked, known = False, response.status_code in (204, 304)
        closing = self._closing
        for name, value in response.headers.fields:
            match name.lower():
                case b"transfer-encoding":
                    self._chunked = known = b"chunked" in value.lower()
                case b"content-length":
                    known = True
                case b"connection":
                    closing = closing or b"close" in value.lower()
        self._last = closing or not known

    def mark_done(self, *, request: bool = False, response: bool = False) -> Commands:
        """Get ready for the next request once both directions are through; a tunnel is left to stock."""
        assert self.request is not None
        if self.request.method == "CONNECT":
            yield from super().mark_done(request=request, response=response)
            return
        self.request_done = self.request_done or request
        self.response_done = self.response_done or response
        if not (self.request_done and self.response_done):
            if self.request_done:
                self.state = self.wait
            return
        if self._last or self.host.draining:
            yield commands.CloseConnection(self.conn)
            self.state = self.done
            return
        self.request_done = self.response_done = False
        self.request = self.response = None
        self.stream_id += 2
        self.state = self.read_headers
        if self.buf:
            yield from self.state(events.DataReceived(self.conn, b""))


def _asks_to_close(headers: http.Headers) -> bool:
    return any(name.lower() == b"connection" and b"close" in value.lower() for name, value in headers.fields)
