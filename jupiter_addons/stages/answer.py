"""Answer what needs no key and no provider: `/health`, `/ready`, `/version`, and paths nobody serves.

`/health` says the process runs; `/ready` that a governed call would be served now.  A path outside the allow-list is
answered 404 at once only to those who show no credential: a caller with a key is authenticated first, so that the refusal
is on record.
"""

from collections.abc import Callable, Mapping

import orjson
from mitmproxy import http

from jupiter_addons.dialects import endpoints
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.answers import json_answer
from jupiter_addons.stages.stage import stage

CREDENTIALS = ("authorization", "x-api-key")


class Answer:
    """The first stage: what is answered before anybody is asked who they are."""

    def __init__(self, *, version: str, readiness: Callable[[], Mapping[str, bool]]) -> None:
        self._version = version
        self._readiness = readiness

    @stage
    def requestheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Answer a probe of the gateway door, or refuse an unknown path."""
        if x.door != "gateway":
            return
        path = flow.request.path.partition("?")[0]
        if flow.request.method in ("GET", "HEAD") and path in ("/health", "/ready", "/version"):
            status, body = self.probe(path)
            flow.response = json_answer(x, status, body)
        elif x.endpoint is None and not any(name in flow.request.headers for name in CREDENTIALS):
            found = endpoints.find(flow.request.method, flow.request.path)
            if isinstance(found, Refusal):
                x.refuse(found)

    def probe(self, path: str) -> tuple[int, bytes]:
        """Return status and JSON body of `/health`, `/ready` or `/version`; the admin port answers the same."""
        match path:
            case "/version":
                return 200, orjson.dumps({"name": "mercator-jupiter", "version": self._version})
            case "/ready":
                checks = dict(self._readiness())
                ready = all(checks.values())
                return 200 if ready else 503, orjson.dumps({"ready": ready, "checks": checks})
        return 200, b'{"status":"ok"}'
