"""The admin port: `/metrics` and the probes, on an address of its own so that no client of the proxy can reach it.

Tornado serves it: mitmproxy brings it along, and nothing here is on the path of a request.
"""

import logging
from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from jupiter_addons.telemetry.metrics import METRICS

logging.getLogger("tornado.access").setLevel(logging.ERROR)


class _Metrics(RequestHandler):
    def get(self) -> None:
        self.set_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(METRICS.render())


class _Probe(RequestHandler):
    def initialize(self, probe: Callable[[str], tuple[int, bytes]]) -> None:
        self._probe = probe

    def get(self) -> None:
        status, body = self._probe(self.request.path)
        self.set_status(status)
        self.set_header("content-type", "application/json")
        self.finish(body)


def serve(host: str, port: int, probe: Callable[[str], tuple[int, bytes]], *, metrics: bool) -> HTTPServer:
    """Listen on `host:port` in the running event loop.  Raises OSError if the address cannot be had.

    `probe` answers `/health`, `/ready` and `/version` with a status and a JSON body.
    """
    routes: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
        (r"/(?:health|ready|version)", _Probe, {"probe": probe})
    ]
    if metrics:
        routes.append((r"/metrics", _Metrics, {}))
    server = HTTPServer(Application(routes))
    server.listen(port, host)
    return server
