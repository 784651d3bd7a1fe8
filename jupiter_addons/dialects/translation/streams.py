"""The translation of a stream: events of one dialect in, deltas between, events of another out.

A reader per dialect and a writer per dialect make every pair.  The end is written only when the provider has said both
why it stopped and that it has ended: a stream that was cut must not look whole.
"""

from typing import Protocol

from jupiter_addons.dialects.call import Usage
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.dialects.translation import exact
from jupiter_addons.dialects.translation.conversation import (
    Begin,
    CallBegin,
    Count,
    Delta,
    End,
    Fault,
    Stop,
)

MAX_STREAM_BYTES = 64 * 1024 * 1024
"""No answer is that long; some of one is kept until it is whole (arguments, signed reasoning), so there is a bound."""


class Reader(Protocol):
    """Reads the events of a provider."""

    def read(self, frame: Frame) -> list[Delta]:
        """Return what an event says.  Raises UpstreamError."""


class Writer(Protocol):
    """Writes the events for a client."""

    def begin(self, begin: Begin) -> bytes:
        """Return the first events."""

    def write(self, delta: Delta) -> bytes:
        """Return the events for text, reasoning or calls."""

    def end(self, stop: Stop, usage: Usage | None) -> bytes:
        """Return the last events."""

    def fault(self, fault: Fault) -> bytes:
        """Return the event that ends a stream with the provider's error."""


class StreamTranslation:
    """Feed it the provider's events; it returns what the client gets."""

    def __init__(self, reader: Reader, writer: Writer, max_stream_bytes: int = MAX_STREAM_BYTES) -> None:
        self._reader, self._writer = reader, writer
        self._max_stream_bytes = max_stream_bytes
        self._begun = self._over = self._called = False
        self._stop: Stop | None = None
        self._usage: Usage | None = None
        self._size_bytes = 0

    def feed(self, frame: Frame) -> bytes:
        """Return the client's events for one of the provider's; often none.  Raises UpstreamError."""
        if self._over:
            return b""
        self._size_bytes += len(frame.raw)
        if self._size_bytes > self._max_stream_bytes:
            exact.invalid(f"the provider's stream is longer than {self._max_stream_bytes} bytes")
        return b"".join([self._take(delta) for delta in self._reader.read(frame)])

    def finish(self) -> None:
        """Say that no event will come.  Raises UpstreamError if the answer had not ended."""
        if not self._over:
            exact.invalid("the provider's stream ended before its answer did")

    def _take(self, delta: Delta) -> bytes:
        match delta:
            case Stop():
                self._stop = delta
                return b""
            case Count():
                self._usage = delta.usage
                return b""
            case Begin():
                self._begun = True
                return self._writer.begin(delta)
            case Fault():
                self._over = True
                return self._writer.fault(delta)
            case End():
                return self._end()
            case CallBegin():
                self._called = True
        if not self._begun:
            exact.invalid("the provider's stream has no beginning")
        return self._writer.write(delta)

    def _end(self) -> bytes:
        self._over = True
        if self._stop is None or not self._begun:
            exact.invalid("the provider ended its stream without saying why it stopped")
        stop = self._stop
        if self._called and stop.reason == "end":  # several servers say `stop` beside calls
            stop = Stop("tool")
        return self._writer.end(stop, self._usage)
