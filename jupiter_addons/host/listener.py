"""The listening socket: connections come in as wires, a few at a time, and several processes can share the port.

Takes the place of `AsyncioServerInstance.listen`, which makes a pair of streams for each connection and cannot share its
port.  The event loop's own server accepts as many connections at once as its backlog is long, while nobody else is served,
and spins when the process has no file left to open.
"""

import asyncio
import contextlib
import errno
import functools
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from jupiter_addons.errors import Refusal
from jupiter_addons.host.answers import bare_refusal
from jupiter_addons.host.doorkeeper import Doorkeeper
from jupiter_addons.host.state import Host
from jupiter_addons.host.wire import Owner, Wire

logger = logging.getLogger(__name__)

BACKLOG = 4096
"""Connections the kernel may hold for us while we are busy; it takes at most `net.core.somaxconn`."""
AT_ONCE = 16
"""Connections accepted before everybody else has their turn again."""
PAUSE_S = 1.0
"""How long nothing is accepted once no file can be opened."""
TOO_MANY = Refusal("overloaded", "too many connections", retry_after_s=1)

UNSENT_BYTES = 128 * 1024
"""How much of an answer the kernel keeps for a client that does not take it: megabytes otherwise, for each."""

_NOTSENT_LOWAT = 25
"""TCP_NOTSENT_LOWAT of Linux (tcp(7)); Python has no name for it."""
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class ClientWire(Wire):
    """A connection that came in; serving it begins at once, unless requests are being refused."""

    def __init__(self, host: Host, serve: Callable[[Any, Any], Awaitable[None]]) -> None:
        super().__init__()
        self._host, self._serve = host, serve
        self._read = b""
        """What the doorkeeper has read of it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start serving; nothing is read before somebody owns the wire."""
        super().connection_made(transport)
        with contextlib.suppress(OSError):  # not every system has it
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT_BYTES)
        peer = self.get_extra_info("peername")
        if self._host.is_pressed and self._host.has_room_for(peer[0]):
            self.take(Doorkeeper(self._host, peer, self, self._begin))
        else:
            self._begin(b"")

    def _begin(self, read: bytes) -> None:
        if self.owner is not None:
            self.pause()
            self.owner = None
        self._read = read
        self._task = asyncio.ensure_future(self._serve(self, self))

    def take(self, owner: Owner) -> None:
        """Give the wire an owner, which first gets what another has read."""
        super().take(owner)
        if self._read:
            asyncio.get_running_loop().call_soon(self._give_read)

    def _give_read(self) -> None:
        read, self._read = self._read, b""
        if self.owner is not None:
            self.data_received(read)


class Listener:
    """The sockets of one address; has what mitmproxy asks of asyncio's server."""

    def __init__(self, host: Host, sockets: list[socket.socket], serve: Callable[[Any, Any], Awaitable[None]]) -> None:
        self.sockets = sockets
        self._host, self._serve = host, serve
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[Any]] = set()
        self._paused: asyncio.TimerHandle | None = None
        self._start()

    def _start(self) -> None:
        self._paused = None
        for listening in self.sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                self._pause(error)
                return
            connection.setblocking(False)
            if not self._host.has_room_for(address[0]):
                self._turn_away(connection)
                continue
            made = self._loop.connect_accepted_socket(lambda: ClientWire(self._host, self._serve), connection)
            task = asyncio.ensure_future(made)
            if not task.done():
                self._opening.add(task)
                task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[Any]) -> None:
        self._opening.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.warning("a connection that came in was lost: %r", task.exception())

    @staticmethod
    def _turn_away(connection: socket.socket) -> None:
        """Refuse before anything is made for it: a flood costs a flood of these."""
        with contextlib.suppress(OSError):
            connection.send(bare_refusal("openai", TOO_MANY))
            connection.shutdown(socket.SHUT_WR)
        connection.close()

    def _pause(self, error: OSError) -> None:
        logger.error("no connection can be accepted: %s; hint: raise the limit on open files (ulimit -n)", error)
        for listening in self.sockets:
            self._loop.remove_reader(listening)
        self._paused = self._loop.call_later(PAUSE_S, self._start)

    def close(self) -> None:
        """Stop accepting; connections that were accepted go on."""
        if self._paused is not None:
            self._paused.cancel()
        for listening in self.sockets:
            self._loop.remove_reader(listening)
            listening.close()
        self.sockets = []


type Listen = Callable[[Any, str, int], Awaitable[list[Any]]]


def listen_with(stock: Listen, host: Host) -> Listen:
    """Return what takes the place of `stock`, the `listen` of mitmproxy's server instances."""

    @functools.wraps(stock)  # so that the check of what it replaces still finds it
    async def listen(self: Any, address: str, port: int) -> list[Any]:
        host.serve = self.handle_stream
        return [Listener(host, await _bound(address, port, share_port=host.shares_port), self.handle_stream)]

    return listen


async def _bound(address: str, port: int, *, share_port: bool) -> list[socket.socket]:
    """Return listening sockets, one for each address that `address` stands for.  Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in dict.fromkeys(found):
            try:
                listening = socket.socket(family, kind, protocol)
            except OSError:
                continue  # a family that this machine does not have
            sockets.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if share_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setblocking(False)
            try:
                _bind(listening, where)
            except OSError as error:
                if address or error.errno != errno.EADDRNOTAVAIL:
                    raise
                sockets.remove(listening)  # of all addresses, one of a family that is switched off
                listening.close()
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def _bind(listening: socket.socket, where: Any) -> None:
    try:
        listening.bind(where)
        listening.listen(BACKLOG)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {where[0]}:{where[1]}: {error.strerror}") from error
