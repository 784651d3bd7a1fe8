"""The admin port: `/metrics`, the probes and the report on providers, on an address of its own that no client of the proxy has.

Tornado serves it: mitmproxy brings it along, and nothing here is on the path of a request.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

logging.getLogger("tornado.access").setLevel(logging.ERROR)


type Probe = Callable[[str], Awaitable[tuple[int, bytes]]]
type Render = Callable[[], Awaitable[bytes]]


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


def serve(where: tuple[str, int] | Path, probe: Probe, report: Probe, render: Render | None) -> HTTPServer:
    """Listen on an address, or on a socket in the file system, in the running event loop.  Raises OSError.

    `probe` answers `/health`, `/ready` and `/version` with a status and a JSON body, `report` so answers what is known of
    the providers, `/health/providers`; `render` answers `/metrics`.
    """
    routes: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
        (r"/(?:health|ready|version)", _Probe, {"probe": probe}),
        (r"/health/providers", _Probe, {"probe": report}),
    ]
    if render is not None:
        routes.append((r"/metrics", _Metrics, {"render": render}))
    server = HTTPServer(Application(routes))
    if isinstance(where, Path):
        server.add_socket(bind_unix_socket(str(where), mode=0o600))
    else:
        server.listen(where[1], where[0])
    return server
