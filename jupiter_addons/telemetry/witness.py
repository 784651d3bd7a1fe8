"""The port of a witness: what C2SP tlog-witness asks of one, and nothing else.

    POST /add-checkpoint             answered by the rules in `evidence.witness`
    GET  /<hash of origin>/checkpoint    what was cosigned last of a log

Who may ask is decided by the signature of the log alone.  Tornado serves it, as it does the admin port.
"""

from collections.abc import Callable

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from jupiter_addons.evidence.witness import MAX_REQUEST_BYTES, Answer

type Add = Callable[[bytes], Answer]
type Shown = Callable[[str], str | None]
"""The hash of an origin -> the newest cosigned checkpoint of that log."""

IDLE_S = 60.0
"""How long a connection is kept on which nothing is asked."""


class _Handler(RequestHandler):
    def _answer(self, answer: Answer) -> None:
        self.set_status(answer.status)
        self.set_header("content-type", answer.content_type)
        self.set_header("cache-control", "no-store")
        self.finish(answer.body)

    def check_xsrf_cookie(self) -> None:
        """Nothing here depends on who asks, so nobody can be made to ask."""


class _AddCheckpoint(_Handler):
    def initialize(self, add: Add) -> None:
        self._add = add

    def post(self) -> None:
        self._answer(self._add(self.request.body))


class _Checkpoint(_Handler):
    def initialize(self, shown: Shown) -> None:
        self._shown = shown

    def get(self, hashed: str) -> None:
        found = self._shown(hashed)
        self._answer(Answer(404, "no checkpoint of that log was cosigned\n") if found is None else Answer(200, found))


def serve(where: tuple[str, int], add: Add, shown: Shown) -> HTTPServer:
    """Listen on an address, in the running event loop.  Raises OSError.

    What `add` or `shown` raise is answered with 500 and logged: nothing is cosigned then.
    """
    routes: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
        (r"/add-checkpoint", _AddCheckpoint, {"add": add}),
        (r"/([0-9a-f]{64})/checkpoint", _Checkpoint, {"shown": shown}),
    ]
    server = HTTPServer(
        Application(routes), max_body_size=MAX_REQUEST_BYTES, idle_connection_timeout=IDLE_S, body_timeout=IDLE_S
    )
    server.listen(where[1], where[0])
    return server
