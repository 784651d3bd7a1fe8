"""JSON text as whoever parses it reads it: `\\u0040` is an @, and what stands where `\\n` was is the beginning of a line.

What a tool is given is text that is itself JSON.  Rules look at what it says; what is replaced is replaced in what was written.
"""

import bisect
import re

_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|([^u]))", re.DOTALL)
_CUT = re.compile(r"\\(?:u[0-9A-Fa-f]{0,3})?\Z")
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_LOST = "\ufffd"


class Unescaped:
    """A JSON text that is still coming, without its escapes.  Positions count from the beginning of either text."""

    def __init__(self) -> None:
        self._rest = ""
        """The beginning of an escape, or half of a pair of them."""
        self._written = 0
        self._gone = 0
        self._places: list[int] = []
        """Where each character that is read is written, from the first that has not been let go of."""

    @classmethod
    def of(cls, written: str) -> "tuple[str, Unescaped]":
        """Return a whole text as it is read, and what knows where it is written."""
        found = cls()
        return found.feed(written) + found.finish(), found

    def feed(self, piece: str) -> str:
        """Take the next piece of what is written; return what more can be read."""
        text, self._rest = self._rest + piece, ""
        if "\\" not in text:
            return self._plain(text)
        read: list[str] = []
        at = 0
        for escape in _ESCAPE.finditer(text):
            if escape.start() < at:
                continue  # the second half of a pair
            read.append(self._plain(text[at : escape.start()]))
            at = escape.end()
            code = int(escape[1], 16) if escape[1] else None
            if code is None:
                char = _SHORT.get(escape[2], escape[2])
            elif 0xD800 <= code < 0xDC00:
                low = _ESCAPE.match(text, at)
                if low is None and (at == len(text) or _CUT.match(text, at)):
                    self._rest = text[escape.start() :]
                    return "".join(read)
                second = int(low[1], 16) if low is not None and low[1] else 0
                if low is not None and 0xDC00 <= second < 0xE000:
                    char, at = chr(0x10000 + ((code - 0xD800) << 10) + second - 0xDC00), low.end()
                else:
                    char = _LOST
            else:
                char = _LOST if 0xDC00 <= code < 0xE000 else chr(code)
            read.append(char)
            self._places.append(self._written)
            self._written += at - escape.start()
        cut = _CUT.search(text, at)
        end = cut.start() if cut is not None else len(text)
        self._rest = text[end:]
        read.append(self._plain(text[at:end]))
        return "".join(read)

    def finish(self) -> str:
        """There is no more: return what was the beginning of an escape and is none, as it was written."""
        text, self._rest = self._rest, ""
        return self._plain(text)

    def _plain(self, text: str) -> str:
        self._places.extend(range(self._written, self._written + len(text)))
        self._written += len(text)
        return text

    def written(self, read: int) -> int:
        """Return where the character is written that is read at a place; behind the last one: where what is read ends."""
        place = read - self._gone
        return self._places[place] if place < len(self._places) else self._written

    def read(self, written: int) -> int:
        """Return which character is read at a place of what is written, or is the next."""
        return self._gone + bisect.bisect_left(self._places, written)

    def forget(self, read: int) -> None:
        """Let go of what is before a place of what is read."""
        del self._places[: read - self._gone]
        self._gone = read
