"""The admin port: metrics, the probes and the evidence, on an address of its own so that no client of the proxy can reach it.

What it says of the evidence is in `inspection`.  A page in somebody's browser must not read it: a browser says so itself
(`sec-fetch-site`), and a name that was bent to this address is not an address (DNS rebinding).

Tornado serves it: mitmproxy brings it along, and nothing here is on the path of a request.
"""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

logging.getLogger("tornado.access").setLevel(logging.ERROR)


type Probe = Callable[[str], Awaitable[tuple[int, bytes]]]
type Render = Callable[[], Awaitable[bytes]]
type Inspect = Callable[[str, Mapping[str, Sequence[str]]], Awaitable[tuple[int, bytes]]]


class _Metrics(RequestHandler):
    def initialize(self, render: Render) -> None:
        self._render = render

    async def get(self) -> None:
        self.set_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(await self._render())


class _Probe(RequestHandler):
    def initialize(self, probe: Probe) -> None:
        self._probe = probe

    async def get(self) -> None:
        status, body = await self._probe(self.request.path)
        self.set_status(status)
        self.set_header("content-type", "application/json")
        self.finish(body)


class _Evidence(RequestHandler):
    def initialize(self, inspect: Inspect) -> None:
        self._inspect = inspect

    async def get(self) -> None:
        self.set_header("content-type", "application/json")
        self.set_header("cache-control", "no-store")
        self.set_header("x-content-type-options", "nosniff")
        if self._is_of_a_page():
            self.set_status(403)
            self.finish(b'{"error":"not for pages in a browser, nor by another name than this address"}')
            return
        given = {
            name: [value.decode("utf-8", "replace") for value in values]
            for name, values in self.request.query_arguments.items()
        }
        status, body = await self._inspect(unquote(self.request.path), given)
        self.set_status(status)
        self.finish(body)

    def _is_of_a_page(self) -> bool:
        if self.request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return True
        host = urlsplit(f"//{self.request.host}").hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host != "localhost"
        return False


def serve(
    where: tuple[str, int] | Path, probe: Probe, render: Render | None, inspect: Inspect | None = None
) -> HTTPServer:
    """Listen on an address, or on a socket in the file system, in the running event loop.  Raises OSError.

    `probe` answers `/health`, `/ready` and `/version` with a status and a JSON body, `render` answers `/metrics`, `inspect`
    what is below `/evidence`.
    """
    routes: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
        (r"/(?:health|ready|version)", _Probe, {"probe": probe})
    ]
    if render is not None:
        routes.append((r"/metrics", _Metrics, {"render": render}))
    if inspect is not None:
        routes.append((r"/evidence(?:/[^/]{1,128})?", _Evidence, {"inspect": inspect}))
    server = HTTPServer(Application(routes))
    if isinstance(where, Path):
        server.add_socket(bind_unix_socket(str(where), mode=0o600))
    else:
        server.listen(where[1], where[0])
    return server
