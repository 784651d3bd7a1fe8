"""The scripted provider's HTTP/2: the same scripts, one stream each."""

import asyncio
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
from hyperframe import frame

from ordeal.provider import Call, Http1, Out, cut

if TYPE_CHECKING:
    from ordeal.provider import Provider

MAX_STREAMS = 100


class Either(asyncio.Protocol):
    """A connection in TLS that becomes what the client has chosen."""

    def __init__(self, provider: "Provider") -> None:
        self._provider = provider
        self._inner: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        kind = Http2 if tls.selected_alpn_protocol() == "h2" else Http1
        self._inner = kind(self._provider)
        assert isinstance(transport, asyncio.Transport)
        transport.set_protocol(self._inner)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._inner is not None:
            self._inner.connection_lost(exc)


class Http2(asyncio.Protocol):
    """One HTTP/2 connection."""

    def __init__(self, provider: "Provider") -> None:
        self.provider = provider
        self.transport: asyncio.Transport = None  # type: ignore[assignment] # set before anything else is called
        self.gone, self.writable = asyncio.Event(), asyncio.Event()
        self.writable.set()
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.moved = asyncio.Event()
        """Set and replaced whenever a window may have grown or a stream has ended."""
        self.cancelled: set[int] = set()
        self.ahead = b""
        """What is to be written before whatever comes next."""
        self._requests: dict[int, tuple[list[tuple[str, str]], bytearray]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.number = self.provider.opened(self)
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS})
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self.writable.set()
        self._stir()
        self.provider.lost(self)

    def eof_received(self) -> bool:
        self.gone.set()
        self._stir()
        return False

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def _stir(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    def flush(self) -> None:
        data, self.ahead = self.ahead + self.h2.data_to_send(), b""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        try:
            happened = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError as fault:
            self.provider.faults.append(f"the gateway broke HTTP/2: {fault}")
            self.flush()
            self.transport.close()
            return
        for event in happened:
            self._take(event)
        self._stir()
        self.flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=id, headers=headers):
                self._requests[id] = (list(headers), bytearray())
            case h2.events.DataReceived(stream_id=id, data=data, flow_controlled_length=length):
                self._requests[id][1].extend(data)
                self.h2.acknowledge_received_data(length, id)
            case h2.events.StreamEnded(stream_id=id):
                headers, body = self._requests.pop(id)
                named = dict(headers)
                call = self.provider.called(named[":method"], named[":path"], named, bytes(body), self.number)
                self.provider.run(call, Http2Out(call, self, id))
            case h2.events.StreamReset(stream_id=id):
                self.cancelled.add(id)


class Http2Out(Out):
    """An answer on an HTTP/2 stream."""

    def __init__(self, call: Call, connection: Http2, stream_id: int) -> None:
        super().__init__(call)
        self._connection, self._id = connection, stream_id

    def _check(self) -> None:
        if self._is_gone():
            raise ConnectionError("the peer is gone")

    def _is_gone(self) -> bool:
        connection = self._connection
        closed = connection.h2.state_machine.state is h2.connection.ConnectionState.CLOSED
        return (
            closed or connection.gone.is_set() or connection.transport.is_closing() or self._id in connection.cancelled
        )

    async def head(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self._check()
        self.headed = status >= 200
        fields = [(name.lower(), value) for name, value in (headers or {}).items()]
        self._connection.h2.send_headers(self._id, [(":status", str(status)), *fields])
        self._connection.flush()

    async def send(self, data: bytes) -> None:
        self.call.sent += data
        connection, rest = self._connection, data
        while rest:
            self._check()
            room = min(connection.h2.local_flow_control_window(self._id), connection.h2.max_outbound_frame_size)
            if room <= 0:
                await connection.moved.wait()
                continue
            connection.h2.send_data(self._id, rest[:room])
            rest = rest[room:]
            connection.flush()
            await connection.writable.wait()

    async def end(self) -> None:
        if not self.ended:
            self._check()
            self.ended = True
            self._connection.h2.end_stream(self._id)
            self._connection.flush()

    def reset(self) -> None:
        self.ended = True
        cut(self._connection.transport)

    def reset_stream(self, code: int = h2.errors.ErrorCodes.INTERNAL_ERROR) -> None:
        """End this stream alone with a RST_STREAM."""
        self.ended = True
        self._connection.h2.reset_stream(self._id, code)
        self._connection.flush()

    def force(self, status: int, body: bytes) -> None:
        """Send an answer although the peer has reset the stream, as one that was on its way when it did."""
        connection = self._connection
        block = connection.h2.encoder.encode([(":status", str(status))])
        head = frame.HeadersFrame(self._id, block, flags=["END_HEADERS"])
        connection.transport.write(head.serialize() + frame.DataFrame(self._id, body).serialize())

    def go_away(self) -> None:
        """Announce that no request after this one will be looked at; those that run are answered (RFC 9113, section 6.8).

        It goes out with what is sent next, in one write, as servers do it.
        """
        goodbye = frame.GoAwayFrame(0, last_stream_id=self._id, error_code=h2.errors.ErrorCodes.NO_ERROR)
        self._connection.ahead += goodbye.serialize()  # the library would take the connection for closed

    def close(self) -> None:
        self.ended = True
        self._connection.transport.close()

    async def gone(self) -> None:
        while not self._is_gone():
            await self._connection.moved.wait()
        self.call.gone = True
