"""HTTP/2 frame by frame, with nothing checked on the way out: a client that says what no library would.

It knows frames and field blocks, and of the gateway only the way in: CONNECT, then TLS that offers `h2`.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import hpack
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)
from support.gateway import Gateway

type Field = tuple[bytes, bytes]

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WAIT_S = 20.0


@dataclass
class Outcome:
    """What came of a stream.  A frame that ends the whole connection ends every stream of it."""

    status: int = 0
    body: bytes = b""
    reset: int | None = None
    """The code of RST_STREAM."""
    goaway: int | None = None
    closed: bool = False
    """The connection was closed without GOAWAY."""

    @property
    def refused(self) -> bool:
        """Whether it is a stream error or a connection error (RFC 9113, section 5.4)."""
        return not self.status and (self.reset is not None or self.goaway is not None or self.closed)

    def __str__(self) -> str:
        if self.status:
            return f"answered {self.status}"
        if self.reset is not None:
            return f"reset with {self.reset}"
        return f"GOAWAY {self.goaway}" if self.goaway is not None else "closed" if self.closed else "no answer"


class Frames:
    """One connection.  The peer's windows are taken to be large enough for what is sent here."""

    def __init__(self, gateway: Gateway, host: str = "api.openai.com") -> None:
        raw = gateway.connect(host, tls=False).socket
        context = ssl.create_default_context(cafile=gateway.authority)
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(raw, server_hostname=host)
        self.socket.settimeout(WAIT_S)
        self._encoder, self._decoder = hpack.Encoder(), hpack.Decoder()
        self._buffer = b""
        self._next = 1
        self.socket.sendall(PREFACE)
        self.write(SettingsFrame(0))

    def write(self, *frames: Frame) -> None:
        self.socket.sendall(b"".join(frame.serialize() for frame in frames))

    def request(self, fields: Sequence[Field], *data: bytes, trailers: Sequence[Field] = ()) -> int:
        """Send a request in as many DATA frames as there are `data`, and return its stream's id."""
        stream = self._next
        self._next += 2
        frames = [self._headers(stream, fields, last=not data and not trailers)]
        for number, piece in enumerate(data, start=1):
            last = number == len(data) and not trailers
            frames.append(DataFrame(stream, piece, flags=["END_STREAM"] if last else []))
        if trailers:
            frames.append(self._headers(stream, trailers, last=True))
        self.write(*frames)
        return stream

    def _headers(self, stream: int, fields: Sequence[Field], *, last: bool) -> HeadersFrame:
        # not indexed: what is malformed must not end up in the table that both sides share
        block = self._encoder.encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)
        return HeadersFrame(stream, block, flags=["END_HEADERS", *(["END_STREAM"] if last else [])])

    def outcome(self, stream: int) -> Outcome:
        """Read until the stream or the connection ends."""
        found = Outcome()
        while True:
            frame = self._read()
            if frame is None:
                found.closed = True
                return found
            if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                self.write(SettingsFrame(0, flags=["ACK"]))
            elif isinstance(frame, PingFrame) and "ACK" not in frame.flags:
                self.write(PingFrame(0, frame.opaque_data, flags=["ACK"]))
            elif isinstance(frame, GoAwayFrame):
                found.goaway = frame.error_code
                return found
            elif isinstance(frame, HeadersFrame):
                fields = dict(self._decoder.decode(frame.data, raw=True))  # of every stream: the table is shared
                if frame.stream_id == stream and (status := int(fields.get(b":status", b"0"))) >= 200:
                    found.status = status
            if frame.stream_id != stream:
                continue
            if isinstance(frame, RstStreamFrame):
                found.reset = frame.error_code
                return found
            if isinstance(frame, DataFrame):
                found.body += frame.data
            if "END_STREAM" in frame.flags:
                return found

    def _read(self) -> Frame | None:
        while True:
            if len(self._buffer) >= 9:
                frame, length = Frame.parse_frame_header(memoryview(self._buffer[:9]))
                if len(self._buffer) >= 9 + length:
                    frame.parse_body(memoryview(self._buffer[9 : 9 + length]))
                    self._buffer = self._buffer[9 + length :]
                    return frame
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
