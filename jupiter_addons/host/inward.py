"""A client connection from inside the process, for calls that the gateway makes itself.

It is served like one that came in at the listener, by the same handler and under the same guard, and needs no port: with
several workers on one port nobody knows which of them would be reached, and a listener may want TLS.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from jupiter_addons.host.listener import ClientWire
from jupiter_addons.host.state import Host

_HERE = ("127.0.0.1", 0)


class InwardWire(ClientWire):
    """The gateway's end of such a connection.  It has no address of its own; loopback is what it stands for."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See Wire."""
        return _HERE if name in ("peername", "sockname") else super().get_extra_info(name, default)


async def connect(host: Host) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return the client's end of a new connection to the gateway.  Raises OSError, also while nobody listens."""
    if host.serve is None:
        raise ConnectionRefusedError("nobody listens")
    serve: Callable[[Any, Any], Awaitable[None]] = host.serve
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    try:
        streams = await asyncio.open_connection(sock=ours)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    await loop.connect_accepted_socket(lambda: InwardWire(host, serve), theirs)
    return streams
