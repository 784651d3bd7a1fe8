"""The HTTP/2 edge: how much a client may make us do and hold for it on one connection.

mitmproxy lets a client open and reset streams, ping and change settings without end, gives it windows of two gigabytes, and
keeps whatever it does not take.  Here every frame that carries no request costs from a budget that refills slowly and with
what the client is sent; a client that overdraws it gets GOAWAY (RFC 9113, section 10.5; CVE-2023-44487, CVE-2025-8671).
What a client does not take stops the providers it is talking to.
"""

import time
from collections.abc import Sequence
from typing import Any, ClassVar

import h2.connection
import h2.errors
import h2.events
import h2.exceptions
from hyperframe import frame as frames
from mitmproxy.net.http import url
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import Http2Server
from mitmproxy.proxy.layers.http._events import ResponseEndOfMessage
from mitmproxy.proxy.layers.http._http_h2 import BufferedH2Connection

from jupiter_addons.dialects import endpoints, envelope
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import CONNECTS
from jupiter_addons.host.commands import Throttle
from jupiter_addons.host.framing import is_method, is_plain_target
from jupiter_addons.host.state import Host

type Commands = layer.CommandGenerator[Any]

BURST = 200
"""How many frames that carry no request a client may send at once: resets, pings, settings, empty data and the like."""
REFILL_PER_S = 50.0
CREDIT = 2
"""How many it may send for each frame of data it gets: window updates, mostly."""
STREAMS = 100
STREAM_WINDOW = 256 * 1024
CONNECTION_WINDOW = 1024 * 1024
HELD_MOST, HELD_LITTLE = 1024 * 1024, 256 * 1024
"""What may wait for the windows of a client before its providers are not read any more, and when they are again."""

_FREE = (frames.HeadersFrame, frames.ContinuationFrame)


class MeteredConnection(BufferedH2Connection):
    """mitmproxy's HTTP/2 connection with a budget for what a client makes us do."""

    def __init__(self, config: Any, header_bytes: int) -> None:
        super().__init__(config)
        settings = self.local_settings
        settings.initial_window_size = STREAM_WINDOW
        settings.max_frame_size = self.max_inbound_frame_size = 16384
        settings.max_concurrent_streams = STREAMS
        settings.max_header_list_size = self.decoder.max_header_list_size = header_bytes
        settings.enable_connect_protocol = 0
        settings.acknowledge()  # otherwise the old ones are announced
        self._budget = float(BURST)
        self._counted = time.monotonic()
        self._receiving = False

    def initiate_connection(self) -> None:
        """Announce our settings and the window of the connection."""
        h2.connection.H2Connection.initiate_connection(self)
        self.increment_flow_control_window(CONNECTION_WINDOW - self.inbound_flow_control_window)

    def receive_data(self, data: bytes) -> Any:
        """As stock; what is reset meanwhile, the client has provoked."""
        self._receiving = True
        try:
            return super().receive_data(data)
        finally:
            self._receiving = False

    def _receive_frame(self, frame: frames.Frame) -> Any:
        if not isinstance(frame, _FREE) and not (isinstance(frame, frames.DataFrame) and frame.data):
            self._spend()
        return super()._receive_frame(frame)

    def _prepare_for_sending(self, prepared: list[frames.Frame]) -> None:
        for frame in prepared:
            if isinstance(frame, frames.DataFrame):
                self._budget = min(self._budget + CREDIT, BURST)
            elif self._receiving and isinstance(frame, frames.RstStreamFrame):
                self._spend()
        super()._prepare_for_sending(prepared)

    def _spend(self) -> None:
        self._budget -= 1
        if self._budget < 0:
            now = time.monotonic()
            self._budget = min((now - self._counted) * REFILL_PER_S, BURST) - 1
            self._counted = now
            if self._budget < 0:
                raise h2.exceptions.DenialOfServiceError("too many frames that carry no request")

    @property
    def held_bytes(self) -> int:
        """What waits for the client's windows."""
        return sum(len(piece.data) for queue in self.stream_buffers.values() for piece in queue)


class EdgeHttp2(Http2Server):
    """The client's side of an HTTP/2 connection, bounded."""

    host: ClassVar[Host]
    _throttled = False
    _held = 0

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.h2_conn: MeteredConnection = MeteredConnection(self.h2_conf, self.host.limits.header_bytes)

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event; this layer never waits for anything."""
        return self._handle_event(event)

    def _handle_event(self, event: events.Event) -> Commands:
        yield from super()._handle_event(event)
        if isinstance(event, ResponseEndOfMessage):
            yield from self._ended(event.stream_id)
        if self.h2_conn.stream_buffers or self._throttled:
            yield from self._throttle()

    def _ended(self, stream_id: int) -> Commands:
        """An answer is through: what the client still sends of its request is not wanted (RFC 9113, section 8.1)."""
        if not self.is_closed(stream_id) and stream_id not in self.h2_conn.stream_buffers:
            self.h2_conn.reset_stream(stream_id, h2.errors.ErrorCodes.NO_ERROR)
            yield commands.SendData(self.conn, self.h2_conn.data_to_send())
        if self.is_closed(stream_id):
            self.streams.pop(stream_id, None)
        if self.host.draining and not self.streams and not self.h2_conn.stream_buffers:
            yield from self.protocol_error("shutting down", h2.errors.ErrorCodes.NO_ERROR)

    def _throttle(self) -> Commands:
        held = self.h2_conn.held_bytes
        much = held > (HELD_LITTLE if self._throttled else HELD_MOST)
        if much != self._throttled or (much and held < self._held):
            self._throttled = much
            yield Throttle(on=much)
        self._held = held

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        """As stock, for requests that would be the same ones in HTTP/1."""
        if isinstance(event, h2.events.RequestReceived):
            refusal = self._inspect(event.headers)
            if refusal is not None:
                path = next((value for name, value in event.headers if name == b":path"), b"/")
                yield from self._refuse(event.stream_id, path.decode("utf-8", "replace"), refusal)
                return False
        stop: bool = yield from super().handle_h2_event(event)
        return stop

    def _inspect(self, fields: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
        """Return what is wrong with the head of a request (RFC 9113, section 8.3.1; its 8.2 is checked by the library)."""
        if len(fields) > self.host.limits.header_count:
            return Refusal("headers_too_large", "the request has too many headers")
        pseudo = {name: value for name, value in fields if name.startswith(b":")}
        authority = pseudo.get(b":authority", b"")
        hosts = [value for name, value in fields if name == b"host"]
        method = pseudo.get(b":method", b"")
        if not is_method(method) or method == b"CONNECT" or not is_plain_target(pseudo.get(b":path", b"")):
            return Refusal("bad_request", "the method or the path of the request is not valid")
        if pseudo.get(b":scheme") != (b"https" if self.context.client.tls else b"http"):
            return Refusal("bad_request", "the scheme of the request is not that of its connection")
        if not self._is_meant(authority) or len(hosts) > 1 or (hosts and hosts[0].lower() != authority.lower()):
            return Refusal("bad_request", "the authority of the request is not that of its connection")
        return None

    def _is_meant(self, authority: bytes) -> bool:
        """Whether an authority is valid and, inside a tunnel, that of the CONNECT."""
        try:
            host, port = url.parse_authority(authority, check=True)
        except ValueError:
            return False
        connect = CONNECTS.get(self.context.client)
        if connect is None:
            return True
        return (host.lower(), port or 443) == (connect.host.lower(), connect.port)

    def _refuse(self, stream_id: int, path: str, refusal: Refusal) -> Commands:
        """Answer without a flow: there is no request that a stage could look at."""
        self.host.tell_rejected(self.conn.peername, refusal.code)
        fields = [(name.encode(), value.encode()) for name, value in envelope.headers(refusal)]
        self.h2_conn.send_headers(stream_id, [(b":status", b"%d" % refusal.row.status), *fields])
        self.h2_conn.send_data(stream_id, envelope.body(endpoints.error_family(path), refusal), end_stream=True)
        if not self.is_closed(stream_id):
            self.h2_conn.reset_stream(stream_id, h2.errors.ErrorCodes.NO_ERROR)
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())

    def protocol_error(self, message: str, error_code: int = h2.errors.ErrorCodes.PROTOCOL_ERROR) -> Commands:
        """Say GOAWAY and close; `message` quotes the client's bytes and goes no further."""
        if error_code != h2.errors.ErrorCodes.NO_ERROR:
            self.host.tell_rejected(self.conn.peername, "bad_request")
        last = self.h2_conn.data_to_send()  # h2 has said it already where it found the error itself
        if not last or error_code == h2.errors.ErrorCodes.NO_ERROR:
            self.h2_conn.close_connection(error_code)
            last += self.h2_conn.data_to_send()
        yield commands.SendData(self.conn, last)
        yield from self.close_connection("the client broke the protocol")
