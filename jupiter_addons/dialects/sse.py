"""Server-sent events, split without changing a byte.

WHATWG HTML, section 9.2.6: lines end in CRLF, LF or CR; an empty line ends an event; `data` lines are joined with LF; a
line that starts with a colon is a comment; one byte order mark may come first.

Rule 1: the raws of all frames, joined, are the input.  A relay forwards raws and never prints an event.

Rule 2: an event is complete as soon as its end is certain.  After CR CR the end is certain although LF may still follow;
that LF then belongs to the next frame.
"""

import re
from dataclasses import dataclass

from jupiter_addons.errors import Refusal, UpstreamError

MAX_EVENT_BYTES = 10 * 1024 * 1024

_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
"""Two line ends in a row; atomic, so that CR LF is never read as two."""
_LINE = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Frame:
    """One event as it came.  `data` is None if it has no data line (a comment, a keep-alive, an incomplete rest)."""

    raw: bytes
    event: str
    data: bytes | None


class Splitter:
    """Feed it bytes in any pieces; it returns whole events."""

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._first = True

    def feed(self, data: bytes) -> list[Frame]:
        """Return the events that are complete now.  Raises UpstreamError if one grows beyond the bound."""
        if not self._buffer and data.endswith(b"\n\n") and data.find(b"\n\n") == len(data) - 2 and b"\r" not in data:
            return [self._frame(data)]
        self._buffer += data
        frames: list[Frame] = []
        start = 0
        while (found := _BLANK.search(self._buffer, max(start, self._searched - 3))) is not None:
            end = found.end()
            frames.append(self._frame(bytes(self._buffer[start:end])))
            start = self._searched = end
        if start:
            self._buffer = self._buffer[start:]  # deleting the front would keep all that there ever was
        self._searched = max(0, len(self._buffer))
        if len(self._buffer) > self._max_event_bytes:
            raise UpstreamError(
                Refusal(
                    "provider_invalid_response", f"the provider sent an event of over {self._max_event_bytes} bytes"
                )
            )
        return frames

    def flush(self) -> Frame | None:
        """Return what never became a whole event, if anything is left."""
        if not self._buffer:
            return None
        rest = Frame(bytes(self._buffer), "", None)
        self._buffer.clear()
        self._searched = 0
        return rest

    def _frame(self, raw: bytes) -> Frame:
        text = raw
        if self._first:
            self._first = False
            text = raw.removeprefix(b"\xef\xbb\xbf")
        if text.startswith(b"data: ") and text.endswith(b"\n\n") and b"\n" not in text[6:-2] and b"\r" not in text:
            return Frame(raw, "", text[6:-2])
        event, data = "", []
        for line in _LINE.split(text):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value.decode("utf-8", "replace")
        return Frame(raw, event, b"\n".join(data) if data else None)


def is_done(data: bytes) -> bool:
    """Whether an event says that OpenAI's stream is over.  What stands behind the mark is nothing to the official clients."""
    return data.startswith(b"[DONE]")
