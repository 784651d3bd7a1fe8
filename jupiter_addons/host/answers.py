"""Refusals as HTTP responses: the one place where an answer of our own is put into mitmproxy's terms."""

import functools
from collections.abc import Mapping

from mitmproxy import http
from mitmproxy.net.http import http1

from jupiter_addons.dialects import envelope
from jupiter_addons.dialects.call import ErrorFamily
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange, response_headers


def refusal_response(x: Exchange, refusal: Refusal) -> http.Response:
    """Return `refusal` in the dialect of the exchange's client, with the headers every answer of ours carries."""
    headers = [*envelope.headers(refusal), *response_headers(x).items()]
    return _response(refusal.row.status, headers, envelope.body(x.family, refusal))


@functools.lru_cache(maxsize=64)
def bare_refusal(family: ErrorFamily, refusal: Refusal, *, keep: bool = False) -> bytes:
    """Return a whole HTTP/1.1 answer to what never became a request with a flow; the connection ends with it, unless `keep`."""
    headers = [*envelope.headers(refusal), *(() if keep else (("connection", "close"),))]
    response = _response(refusal.row.status, headers, envelope.body(family, refusal))
    raw: bytes = http1.assemble_response(response)
    return raw


def json_answer(x: Exchange, status: int, body: bytes) -> http.Response:
    """Return a JSON answer that needs no provider."""
    return _response(status, [("content-type", "application/json"), *response_headers(x).items()], body)


def empty_answer(x: Exchange, status: int, headers: Mapping[str, str]) -> http.Response:
    """Return an answer without a body."""
    return _response(status, [*headers.items(), *response_headers(x).items()], b"")


def _response(status: int, headers: list[tuple[str, str]], body: bytes) -> http.Response:
    fields = [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers]
    fields.append((b"content-length", b"%d" % len(body)))
    return http.Response.make(status, body, http.Headers(fields))
