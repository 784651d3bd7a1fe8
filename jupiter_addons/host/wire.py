"""One TCP connection as the host uses it: bytes in go straight to its owner, bytes out straight to the transport.

asyncio's streams buffer each read, wake a task for it and await a drain after it; a proxy that only passes bytes on pays
for that twice a request.  A `Wire` has no task and no buffer of its own.  It can change its owner, which is how an idle
upstream connection gets from one client connection to another.
"""

import asyncio
import time
from typing import Any, Protocol

CLOSING_S = 30.0
"""How long what is still to be written may take once a connection is closed."""


READ_BYTES = 32 * 1024
"""How much is read at once; asyncio would take eight times as much, and all of it could have to wait for a slow client."""
JOINED_BYTES = 64 * 1024
"""Up to here, copying pieces together is cheaper than telling the kernel where each is."""
HELD_BYTES = 32 * 1024
"""How much may wait to be taken by a peer before nothing more is read for it."""


class Owner(Protocol):
    """Who is told what happens on a wire."""

    def wire_data(self, wire: "Wire", data: bytes) -> None:
        """Bytes arrived."""

    def wire_ended(self, wire: "Wire", *, lost: bool) -> None:
        """The peer sent its last byte; `lost` says that nothing can be written any more either."""

    def wire_congested(self, wire: "Wire", *, congested: bool) -> None:
        """The peer takes no more bytes for now, or takes them again."""


class Wire(asyncio.Protocol):
    """A connection with an owner.  Without one, nothing is read."""

    def __init__(self, owner: Owner | None = None) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment] # set before anything else is called
        self.owner = owner
        self.ended = False
        """The peer has sent its last byte."""
        self.congested = False
        self._pauses = 0
        self._written = self._taken = 0
        self._since: float | None = None

    # -- asyncio's side -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.max_size = READ_BYTES  # type: ignore[attr-defined] # of asyncio's own; others read as they like
        transport.set_write_buffer_limits(HELD_BYTES)
        if self.owner is None:
            self.pause()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        assert self.owner is not None
        self.owner.wire_data(self, data)

    def eof_received(self) -> bool:
        """See asyncio.Protocol."""
        self.ended = True
        if self.owner is not None:
            self.owner.wire_ended(self, lost=False)
        return True  # what is still to be written is written; the owner closes

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.ended = True
        if self.owner is not None:
            self.owner.wire_ended(self, lost=True)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self.congested = True
        if self.owner is not None:
            self.owner.wire_congested(self, congested=True)

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self.congested = False
        if self.owner is not None:
            self.owner.wire_congested(self, congested=False)

    # -- the owner's side ---------------------------------------------------------------------------------------------

    def take(self, owner: Owner) -> None:
        """Give the wire an owner; reading begins, or goes on."""
        waiting, self.owner = self.owner is None, owner
        if waiting:
            self.resume()

    @property
    def is_open(self) -> bool:
        """Whether bytes can go both ways."""
        return not self.ended and not self.transport.is_closing()

    def write(self, pieces: list[bytes]) -> None:
        """Write, unless the connection is being closed."""
        if self.transport.is_closing():
            return
        size = sum(map(len, pieces))
        self._written += size
        if len(pieces) == 1:
            self.transport.write(pieces[0])
        elif size < JOINED_BYTES:
            self.transport.write(b"".join(pieces))
        else:  # without a copy; asyncio's `writelines` would not say that the peer is congested
            for piece in pieces:
                self.transport.write(piece)

    def pause(self) -> None:
        """Stop reading until as many `resume` have followed as there were `pause`."""
        self._pauses += 1
        if self._pauses == 1 and not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        """Undo one `pause`."""
        self._pauses -= 1
        if self._pauses == 0 and not self.transport.is_closing():
            self.transport.resume_reading()

    def is_stuck(self, longest_s: float) -> bool:
        """Whether the peer has taken no byte for `longest_s`, seen from when this was first asked."""
        taken, now = self._written - self.transport.get_write_buffer_size(), time.monotonic()
        if not self.congested or taken > self._taken or self._since is None:
            self._taken, self._since = taken, now
        return self.congested and now - self._since > longest_s

    def half_close(self) -> None:
        """Send our last byte; the peer may go on."""
        if not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        """Write what is still to be written, for a while, then close.  The owner hears no more of this wire."""
        self.owner = None
        self.ended = True
        if self.transport.get_write_buffer_size() and not self.transport.is_closing():
            asyncio.get_running_loop().call_later(CLOSING_S, self.transport.abort)
        self.transport.close()

    def abort(self) -> None:
        """Close at once; what was not written is lost."""
        self.owner = None
        self.ended = True
        self.transport.abort()

    # -- what mitmproxy asks of a stream when it builds a connection handler ---------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows, such as `peername`."""
        return self.transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self.transport.is_closing()
