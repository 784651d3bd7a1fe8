"""The way out: stop accepting, let what runs come to its end, then cut what has not.

mitmproxy drops every stream within milliseconds of SIGTERM, and runs their `error` hooks after `done`, when nothing can
record them any more.
"""

import asyncio
import logging

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.master import Master

from jupiter_addons.host.state import Host

logger = logging.getLogger(__name__)

_TICK_S = 0.02
_LAST_S = 5.0
"""What it may take to write the last bytes, and to record what was cut."""


async def drain(master: Master, host: Host, timeout_s: float) -> None:
    """Return when no exchange is left: ended by itself within `timeout_s`, or cut and recorded as such.

    Idle keep-alive connections do not count: they are closed at once.
    """
    server = master.addons.get("proxyserver")
    if not isinstance(server, Proxyserver):
        return
    host.draining = True
    await server.servers.update([])
    for handler in list(host.handlers):
        if handler.is_idle:
            handler.close_connection(handler.client)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while host.live and not host.hurried and loop.time() < deadline:  # noqa: ASYNC110 - a weak set cannot tell when it empties
        await asyncio.sleep(_TICK_S)
    if host.live:
        logger.warning("%d exchanges have not ended and are cut short", len(host.live))
    for handler in list(host.handlers):
        handler.end_all()
    deadline = loop.time() + _LAST_S
    while host.live and loop.time() < deadline:  # noqa: ASYNC110 - as above
        await asyncio.sleep(_TICK_S)
    while any(h.unsent for h in host.handlers) and not host.live and loop.time() < deadline:  # noqa: ASYNC110 - as above
        await asyncio.sleep(_TICK_S)
    for handler in list(host.handlers):
        handler.cancel("shutdown")
    deadline = loop.time() + _LAST_S
    while (host.handlers or host.live) and loop.time() < deadline:  # noqa: ASYNC110 - as above
        await asyncio.sleep(_TICK_S)
