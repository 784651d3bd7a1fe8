"""An HTTP/2 client on one connection: in TLS, straight to the port or inside a tunnel, with as many streams as wanted."""

import json
import socket
import ssl
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import h2.config
import h2.connection
import h2.events
from support.gateway import Gateway
from support.wire import TIMEOUT_S, Answer


@dataclass
class Stream:
    """One request's answer as it comes."""

    id: int
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None
    """The error code, if the stream was reset."""
    first_s: float | None = None
    """When the first byte of the body came; monotonic."""


class H2Client:
    """One connection, speaking HTTP/2.  It reads only while something is waited for."""

    def __init__(self, tls: ssl.SSLSocket, authority: str) -> None:
        assert tls.selected_alpn_protocol() == "h2", tls.selected_alpn_protocol()
        self.socket, self.authority = tls, authority
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.streams: dict[int, Stream] = {}
        self.closed = False
        """The peer said GOAWAY or closed the connection."""
        self.h2.initiate_connection()
        self._flush()

    @classmethod
    def through_tunnel(cls, gateway: Gateway, host: str = "api.openai.com") -> Self:
        """Return a client of the intercept door: CONNECT, then TLS to `host` as the gateway plays it."""
        raw = gateway.connect(host, tls=False).socket
        return cls(_context(gateway).wrap_socket(raw, server_hostname=host), host)

    @classmethod
    def at_the_door(cls, gateway: Gateway) -> Self:
        """Return a client of the gateway door, in TLS on the same port."""
        raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=TIMEOUT_S)
        return cls(_context(gateway).wrap_socket(raw, server_hostname="localhost"), f"localhost:{gateway.port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def post(self, path: str, body: bytes | dict[str, Any], key: str | None = None, **headers: str) -> Stream:
        """Send a request; keyword headers have `_` for `-`."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", self.authority),
            (":path", path),
            ("content-type", "application/json"),
            ("content-length", str(len(raw))),
            *([("authorization", f"Bearer {key}")] if key is not None else []),
            *((name.replace("_", "-"), value) for name, value in headers.items()),
        ]
        stream = Stream(self.h2.get_next_available_stream_id())
        self.streams[stream.id] = stream
        self.h2.send_headers(stream.id, fields)
        for start in range(0, len(raw), 16384):
            self.h2.send_data(stream.id, raw[start : start + 16384])
        self.h2.end_stream(stream.id)
        self._flush()
        return stream

    def ask(self, path: str, body: bytes | dict[str, Any], key: str | None = None, **headers: str) -> Answer:
        """Send a request and return its whole answer."""
        return self.answer(self.post(path, body, key, **headers))

    def answer(self, stream: Stream) -> Answer:
        """Wait for the end of an answer.  Raises ConnectionError if it is cut."""
        self.read_until(lambda: stream.ended or stream.reset is not None)
        if not stream.ended:
            raise ConnectionError(f"the stream was cut: {stream}")
        return Answer(stream.status, stream.headers, bytes(stream.body))

    def cancel(self, stream: Stream) -> None:
        """Reset a stream, as a client does that wants no more of it."""
        self.h2.reset_stream(stream.id, 8)
        self._flush()

    def read_until(self, condition: Any, within_s: float = TIMEOUT_S) -> None:
        """Read until a condition holds.  Raises TimeoutError, or ConnectionError if the connection ends first."""
        deadline = time.monotonic() + within_s
        while not condition():
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            data = self.socket.recv(65536)
            if not data:
                self.closed = True
                raise ConnectionError("the connection was closed")
            for event in self.h2.receive_data(data):
                self._take(event)
            self._flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=id, headers=headers):
                stream, found = self.streams[id], dict(headers)
                stream.status = int(found.pop(":status"))
                stream.headers = found
            case h2.events.DataReceived(stream_id=id, data=data, flow_controlled_length=length):
                stream = self.streams[id]
                stream.first_s = stream.first_s or time.monotonic()
                stream.body += data
                if length:
                    self.h2.acknowledge_received_data(length, id)
            case h2.events.StreamEnded(stream_id=id):
                self.streams[id].ended = True
            case h2.events.StreamReset(stream_id=id, error_code=code):
                self.streams[id].reset = int(code)
            case h2.events.ConnectionTerminated():
                self.closed = True

    def _flush(self) -> None:
        if data := self.h2.data_to_send():
            self.socket.sendall(data)


def _context(gateway: Gateway) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=gateway.authority)
    context.set_alpn_protocols(["h2"])
    return context
