"""The listening socket: connections come in as wires, and several processes can share the port.

Takes the place of `AsyncioServerInstance.listen`, which makes a pair of streams for each connection, keeps a backlog of a
hundred and cannot share its port.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from jupiter_addons.host.wire import Wire

BACKLOG = 4096
"""Connections the kernel may hold for us while we are busy; it takes at most `net.core.somaxconn`."""


class ClientWire(Wire):
    """A connection that came in; serving it begins at once."""

    def __init__(self, serve: Callable[[Any, Any], Awaitable[None]]) -> None:
        super().__init__()
        self._serve = serve

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start serving; nothing is read before somebody owns the wire."""
        super().connection_made(transport)
        self._task = asyncio.ensure_future(self._serve(self, self))


type Listen = Callable[[Any, str, int], Awaitable[list[Any]]]


def listen_with(stock: Listen, *, share_port: bool) -> Listen:
    """Return what takes the place of `stock`, the `listen` of mitmproxy's server instances.

    `share_port` lets other processes listen on the same port.
    """

    @functools.wraps(stock)  # so that the check of what it replaces still finds it
    async def listen(self: Any, host: str, port: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: ClientWire(self.handle_stream), host or None, port, backlog=BACKLOG, reuse_port=share_port or None
        )
        return [server]

    return listen
