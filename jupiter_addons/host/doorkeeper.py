"""Who is refused without a connection handler, while more comes in than can be served.

A handler and its layers cost as much as several refusals, and are ready some turns of the event loop after the connection:
under pressure most of them would be made to say no.  So a connection that comes in then is held by a `Doorkeeper`, which
refuses whole requests from their bytes and hands the connection on with the first thing that is to be served, or that is
anything else than plainly one whole request.
"""

import re
import time
from collections.abc import Callable
from typing import Any, Protocol

from jupiter_addons.dialects.call import ErrorFamily
from jupiter_addons.host.answers import bare_refusal
from jupiter_addons.host.permits import OVERLOADED
from jupiter_addons.host.state import Host

_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r|$)")


def turned_away(host: Host, peer: tuple[Any, ...] | None, data: bytes) -> bytes:
    """Return the answer to a whole request that is not served because too many are, or nothing if it is.

    Without parsing it: what is refused must cost next to nothing.  Whatever is not plainly one whole request is read as
    any other.
    """
    end = data.find(b"\r\n\r\n")
    head = data[:end].lower()
    if end < 0 or not head.startswith(b"post /v1/") or b"\ntransfer-encoding:" in head:
        return b""
    found = _LENGTH.findall(head)
    if len(found) != 1 or len(data) != end + 4 + int(found[0]):
        return b""
    shedder = host.ticker.shedder
    if not host.is_full and not (shedder.sheds and shedder.refuses()):
        return b""
    host.tell_rejected(peer, OVERLOADED.code)
    family: ErrorFamily = "anthropic" if head.startswith(b"post /v1/messages") else "openai"
    return bare_refusal(family, OVERLOADED, keep=True)


class Door(Protocol):
    """A connection that came in."""

    def write(self, pieces: list[bytes]) -> None:
        """Write, unless it is being closed."""

    def close(self) -> None:
        """Close it once everything is written."""

    def abort(self) -> None:
        """Close it at once."""


class Doorkeeper:
    """The owner of one connection until somebody has to serve it; to the host it is a handler with nothing to do."""

    client = None
    unsent = 0
    is_idle = True

    def __init__(self, host: Host, peer: tuple[Any, ...], wire: Door, serve: Callable[[bytes], None]) -> None:
        """`serve` takes the connection over, with what has been read of it."""
        self._host, self._peer, self._wire, self._serve = host, peer, wire, serve
        self._since = time.monotonic()
        self._patience_s = host.limits.header_timeout_s
        host.comes(self, peer[0])

    def wire_data(self, wire: object, data: bytes) -> None:
        """Refuse what came, or have it served."""
        refused = turned_away(self._host, self._peer, data)
        if refused:
            self._wire.write([refused])
            self._since, self._patience_s = time.monotonic(), self._host.limits.keep_alive_s
        else:
            self._leave()
            self._serve(data)

    def wire_ended(self, wire: object, *, lost: bool) -> None:
        """The client has sent its last byte: there is nothing it could still be told."""
        self._close()

    def wire_congested(self, wire: object, *, congested: bool) -> None:
        """A client that does not take refusals gets no more of them."""
        self._close()

    def tend(self) -> None:
        """Close a connection on which no request comes."""
        if time.monotonic() - self._since > self._patience_s:
            self._close()

    def close_connection(self, client: object) -> None:
        """The process drains."""
        self._close()

    def end_all(self) -> None:
        """Nothing has begun."""

    def cancel(self, reason: str) -> None:
        """Drop the connection."""
        self._leave()
        self._wire.abort()

    def _close(self) -> None:
        self._leave()
        self._wire.close()

    def _leave(self) -> None:
        if self in self._host.handlers:
            self._host.goes(self, self._peer[0])
