"""The admin port: `/metrics` and the probes, on an address of its own so that no client of the proxy can reach it.

Tornado serves it: mitmproxy brings it along, and nothing here is on the path of a request.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

logging.getLogger("tornado.access").setLevel(logging.ERROR)


type Probe = Callable[[str], Awaitable[tuple[int, bytes]]]
type Limits = Callable[[str, Mapping[str, str], str], Awaitable[tuple[int, bytes]]]
"""Method, query and token -> status and JSON body."""
type Render = Callable[[], Awaitable[bytes]]


class _Metrics(RequestHandler):
    def initialize(self, render: Render) -> None:
        self._render = render

    async def get(self) -> None:
        self.set_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(await self._render())


class _Limits(RequestHandler):
    def initialize(self, limits: Limits) -> None:
        self._limits = limits

    async def get(self) -> None:
        await self._answer()

    async def post(self) -> None:
        await self._answer()

    def check_xsrf_cookie(self) -> None:
        """A reset takes a token that no page in a browser has."""

    async def _answer(self) -> None:
        asked = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        token = self.request.headers.get("x-jupiter-token", "")
        status, body = await self._limits(self.request.method or "GET", asked, token)
        self.set_status(status)
        self.set_header("content-type", "application/json")
        self.finish(body)


class _Probe(RequestHandler):
    def initialize(self, probe: Probe) -> None:
        self._probe = probe

    async def get(self) -> None:
        status, body = await self._probe(self.request.path)
        self.set_status(status)
        self.set_header("content-type", "application/json")
        self.finish(body)


def serve(
    where: tuple[str, int] | Path, probe: Probe, render: Render | None, limits: Limits | None = None
) -> HTTPServer:
    """Listen on an address, or on a socket in the file system, in the running event loop.  Raises OSError.

    `probe` answers `/health`, `/ready` and `/version` with a status and a JSON body, `render` answers `/metrics`, `limits`
    `/limits` with a status and a JSON body.
    """
    routes: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
        (r"/(?:health|ready|version)", _Probe, {"probe": probe})
    ]
    if limits is not None:
        routes.append((r"/limits", _Limits, {"limits": limits}))
    if render is not None:
        routes.append((r"/metrics", _Metrics, {"render": render}))
    server = HTTPServer(Application(routes))
    if isinstance(where, Path):
        server.add_socket(bind_unix_socket(str(where), mode=0o600))
    else:
        server.listen(where[1], where[0])
    return server
