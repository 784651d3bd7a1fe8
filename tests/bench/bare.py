"""Our host with nothing in it: a chain that lets every request through to one upstream.  What the host itself costs.

python -O tests/bench/bare.py PORT UPSTREAM_PORT
"""

import asyncio
import sys

from mitmproxy import http
from mitmproxy.options import Options

from jupiter_addons.exchange import EXCHANGES, Exchange, Permit
from jupiter_addons.host import options, seams, shortcuts
from jupiter_addons.host.master import JupiterMaster
from jupiter_addons.host.state import Host


class PassThrough:
    """Permits what it is asked for, and streams what is a stream."""

    def __init__(self, port: int) -> None:
        self._port = port

    def request(self, flow: http.HTTPFlow) -> None:
        """Send to the upstream, as it came."""
        x = EXCHANGES[flow]
        flow.request.data.host, flow.request.data.port, flow.request.scheme = "127.0.0.1", self._port, "http"
        x.permit = Permit("http", "127.0.0.1", self._port, flow.request.raw_content or b"")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Let the answer through."""
        x = EXCHANGES[flow]
        x.opened = True
        if flow.response.headers.get("content-type") == "text/event-stream":
            x.relay = Bytes()


class Bytes:
    """A relay that passes bytes on as they come."""

    begun = is_framed = True
    ending = cut = False

    def feed(self, data: bytes) -> list[bytes]:
        """Pass on."""
        return [data]

    def drain(self) -> None:
        """Nothing is held back."""

    def finish(self) -> list[bytes]:
        """Nothing is held back."""
        return []


async def nothing_to_close(_flow: http.HTTPFlow, _x: Exchange) -> None:
    """No stage settles or records here."""


async def main(port: int, upstream: int) -> None:
    host = Host()
    host.close = nothing_to_close
    seams.install(host)
    opts = Options(listen_host="127.0.0.1", listen_port=port)
    master = JupiterMaster(opts, [PassThrough(upstream)], host.speed)
    options.require(opts)
    shortcuts.tune_collector(host.speed)
    loop = asyncio.get_running_loop()
    for number in (2, 15):
        loop.add_signal_handler(number, master.shutdown)
    await master.run()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
