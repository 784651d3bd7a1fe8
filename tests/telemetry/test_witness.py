"""The port of a witness: two addresses, and what goes wrong behind them is answered without a cosignature."""

import http.client
from urllib.parse import urlsplit

from support.trees import GrowingLog
from support.witness import a_port, a_witness

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.witness import MAX_REQUEST_BYTES, Answer, monitoring_path, request

KEY = from_seed("log", b"\x01" * 32)
WITNESS = from_seed("w", b"\x02" * 32)
LOG = GrowingLog("jupiter/1", KEY)


def ask(url: str, method: str, path: str, body: bytes | None = None):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request(method, path, body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, answer.headers["content-type"], data


def test_a_checkpoint_is_cosigned_and_shown(tmp_path):
    shown = monitoring_path("jupiter/1")
    with a_witness(tmp_path, WITNESS, {"jupiter/1": [KEY.public]}) as url:
        assert ask(url, "GET", shown)[0] == 404
        assert ask(url, "POST", "/add-checkpoint", request(0, [], LOG.signed(5)))[0] == 200
        assert ask(url, "POST", "/add-checkpoint", request(1, [], LOG.signed(7))) == (409, "text/x.tlog.size", b"5\n")
        status, _, data = ask(url, "GET", shown)
        assert status == 200
        assert checkpoint.opened(data, [KEY.public], [Cosigner(WITNESS.public)]) == LOG.head(5)
        assert ask(url, "POST", "/add-checkpoint", b"")[0] == 400
        assert [ask(url, method, path)[0] for method, path in (("GET", "/add-checkpoint"), ("POST", shown))] == [
            405,
            405,
        ]
        assert ask(url, "GET", "/0/checkpoint")[0] == 404


def test_a_memory_that_fails_is_answered_with_500_and_without_a_cosignature(caplog):
    def failing(_data: object) -> Answer:
        raise StoreError("no memory")

    with a_port(failing, failing) as url:
        for method, path in (("POST", "/add-checkpoint"), ("GET", monitoring_path("x"))):
            status, _, data = ask(url, method, path, b"" if method == "POST" else None)
            assert (status, "\u2014".encode() in data) == (500, False)


def test_more_than_a_request_can_have_is_not_read():
    with a_port(lambda _data: Answer(200, ""), lambda _hash: None) as url:
        try:
            status = ask(url, "POST", "/add-checkpoint", b"x" * (MAX_REQUEST_BYTES + 1))[0]
        except OSError:
            status = 400
        assert status == 400
