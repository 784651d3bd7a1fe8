"""Newline-delimited JSON, split without changing a byte: how Ollama streams.

A line is an event; what `Frame.data` has is the line without its end and without blanks around it.  A line ends in LF;
a CR before it is a blank.  Rule: the raws of all frames, joined, are the input.
"""

from jupiter_addons.dialects.sse import MAX_EVENT_BYTES, Frame
from jupiter_addons.errors import Refusal, UpstreamError


class Splitter:
    """Feed it bytes in any pieces; it returns whole lines."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the lines that are complete now.  Raises UpstreamError if one grows beyond the bound."""
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            self._keep(data)
            return []
        lines = (bytes(self._buffer) + head).split(b"\n")
        self._buffer.clear()
        self._keep(tail)
        return [_frame(line + b"\n") for line in lines]

    def flush(self) -> Frame | None:
        """Return what never became a whole line, if anything is left."""
        if not self._buffer:
            return None
        rest = Frame(bytes(self._buffer), "", None)
        self._buffer.clear()
        return rest

    def _keep(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > self._max_event_bytes:
            raise UpstreamError(
                Refusal("provider_invalid_response", f"the provider sent a line of over {self._max_event_bytes} bytes")
            )


def _frame(raw: bytes) -> Frame:
    return Frame(raw, "", raw.strip() or None)
