"""The admin port: `/metrics`, the probes, the reports and the evidence, on an address that no client of the proxy has.

What it says of the evidence is in `inspection`.  A page in somebody's browser must not read that, nor what users have taken:
a browser says so itself (`sec-fetch-site`), and a name that was bent to this address is not an address (DNS rebinding).

Tornado serves it: mitmproxy brings it along, and nothing here is on the path of a request.
"""

import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler

logging.getLogger("tornado.access").setLevel(logging.ERROR)


type Probe = Callable[[str], Awaitable[tuple[int, bytes]]]
type Report = Callable[[], Awaitable[Mapping[str, Any]]]
type Limits = Callable[[str, Mapping[str, str], str], Awaitable[tuple[int, bytes]]]
"""Method, query and token -> status and JSON body."""
type Render = Callable[[], Awaitable[bytes]]
type Inspect = Callable[[str, Mapping[str, Sequence[str]]], Awaitable[tuple[int, bytes]]]


_NOT_FOR_PAGES = b'{"error":"not for pages in a browser, nor by another name than this address"}'


def _is_of_a_page(request: HTTPServerRequest) -> bool:
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    host = urlsplit(f"//{request.host}").hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


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
        if _is_of_a_page(self.request):
            self.set_status(403)
            self.finish(_NOT_FOR_PAGES)
            return
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


class _Report(RequestHandler):
    def initialize(self, report: Report) -> None:
        self._report = report

    async def get(self) -> None:
        body = orjson.dumps(await self._report())
        self.set_header("content-type", "application/json")
        self.finish(body)


class _Evidence(RequestHandler):
    def initialize(self, inspect: Inspect) -> None:
        self._inspect = inspect

    async def get(self) -> None:
        self.set_header("content-type", "application/json")
        self.set_header("cache-control", "no-store")
        self.set_header("x-content-type-options", "nosniff")
        if _is_of_a_page(self.request):
            self.set_status(403)
            self.finish(_NOT_FOR_PAGES)
            return
        given = {
            name: [value.decode("utf-8", "replace") for value in values]
            for name, values in self.request.query_arguments.items()
        }
        status, body = await self._inspect(unquote(self.request.path), given)
        self.set_status(status)
        self.finish(body)


def serve(
    where: tuple[str, int] | Path,
    probe: Probe,
    reports: Mapping[str, Report],
    render: Render | None,
    *,
    limits: Limits | None = None,
    inspect: Inspect | None = None,
) -> HTTPServer:
    """Listen on an address, or on a socket in the file system, in the running event loop.  Raises OSError.

    `probe` answers `/health`, `/ready` and `/version` with a status and a JSON body, each of `reports` its path with an
    object; `render` answers `/metrics`, `limits` `/limits` with a status and a JSON body, `inspect` what is below
    `/evidence`.
    """
    routes: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
        (r"/(?:health|ready|version)", _Probe, {"probe": probe}),
    ]
    routes += [(re.escape(path), _Report, {"report": report}) for path, report in reports.items()]
    if limits is not None:
        routes.append((r"/limits", _Limits, {"limits": limits}))
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
