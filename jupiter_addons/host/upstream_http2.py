"""The upstream's side of an HTTP/2 connection: one that is going away finishes what it has begun.

Providers close HTTP/2 connections after some time or some thousand requests, and say with GOAWAY which requests they will
still answer (RFC 9113, section 6.8).  Stock, and the library under it, give all of them up.
"""

from typing import Any

import h2.connection
import h2.errors
import h2.events
from hyperframe.frame import GoAwayFrame
from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import ErrorCode, Http2Client, ReceiveHttp
from mitmproxy.proxy.layers.http._events import RequestProtocolError, ResponseProtocolError

from jupiter_addons.host.commands import CLOSED

type Commands = layer.CommandGenerator[Any]


class UpstreamHttp2(Http2Client):
    """Several requests at once."""

    going_away = False
    """The provider takes no more requests on this connection."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        table = self.h2_conn._frame_dispatch_table
        stock = table[GoAwayFrame]

        def received(frame: Any) -> Any:
            answer = stock(frame)
            # The library closes the connection for itself, and would refuse what is still to come in the same breath.
            self.h2_conn.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
            return answer

        table[GoAwayFrame] = received

    def _handle_event(self, event: events.Event) -> Commands:
        yield from super()._handle_event(event)
        if isinstance(event, RequestProtocolError):  # given up: the library forgets it, and so do we
            self.streams.pop(event.stream_id, None)
        if self.going_away and not self.streams and self._handle_event != self.done:
            yield from self.close_connection(CLOSED)

    def handle_h2_event(self, event: h2.events.Event) -> layer.CommandGenerator[bool]:
        """As stock; requests that the provider says it has not looked at can be sent again."""
        if isinstance(event, h2.events.ConnectionTerminated):
            yield from self._go_away(event.last_stream_id or 0)
            return False
        if isinstance(event, h2.events.StreamReset):
            yield from self._lose(event.stream_id, "the provider reset the stream")
            return False
        stop: bool = yield from super().handle_h2_event(event)
        return stop

    def protocol_error(self, message: str, error_code: int = h2.errors.ErrorCodes.PROTOCOL_ERROR) -> Commands:
        """As stock; `message` quotes the provider's bytes and goes no further."""
        yield from super().protocol_error("the provider broke HTTP/2", error_code)

    def _go_away(self, last: int) -> Commands:
        self.going_away = True
        for stream_id in [number for number in self.streams if number > last]:
            yield from self._lose(stream_id, CLOSED)

    def _lose(self, stream_id: int, message: str) -> Commands:
        """Forget a stream first: whoever hears of its end may give it up in the same breath."""
        if self.streams.pop(stream_id, None) is not None:
            yield ReceiveHttp(ResponseProtocolError(stream_id, message, ErrorCode.GENERIC_SERVER_ERROR))
