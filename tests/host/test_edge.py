"""The HTTP/1 edge, fed whole, byte by byte and with more behind: the same requests, the same refusals, the same limits.

Which heads and chunks are read at all is `test_framing`'s.  Here it is what becomes of a connection.
"""

import json
import re

import pytest
from host.playbook import BODY, HOST, Chain, Playbook, post
from host.providers import SSE_HEAD, answer, chunk, event

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import EXCHANGES
from jupiter_addons.host.answers import refusal_response
from jupiter_addons.host.state import EdgeLimits

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\n"


def chunked(*pieces: bytes) -> bytes:
    return CHAT + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunk(piece) for piece in pieces) + b"0\r\n\r\n"


def fed(raw: bytes, way: str, **more: object) -> Playbook:
    """Return what came of a client's bytes, however they were cut."""
    play = Playbook(Chain("a.test", "a.test", "a.test"), **more)
    pieces = [raw] if way == "whole" else [raw[at : at + 1] for at in range(len(raw))]
    for piece in pieces:
        play.client_says(piece)
    return play


WAYS = pytest.mark.parametrize("way", ["whole", "byte by byte"])


def said(play: Playbook) -> bytes:
    """What the client saw, without the id that each answer has of its own."""
    return re.sub(rb"x-request-id: [^\r]+", b"x-request-id: ID", play.client_saw)


# -- requests ----------------------------------------------------------------------------------------------------------------

REQUESTS = {
    "of declared length": post(),
    "in one chunk": chunked(BODY),
    "in many chunks": chunked(*(BODY[at : at + 3] for at in range(0, len(BODY), 3))),
    "with an empty line before it": b"\r\n" + post(),
    "without a body": b"GET /v1/models HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "with an empty body": post(body=b""),
    "in absolute form": b"GET http://a.test/v1/models HTTP/1.1\r\nHost: a.test\r\n\r\n",
}


@WAYS
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_the_same_however_it_arrives(name: str, way: str):
    play = fed(REQUESTS[name], way)
    assert play.hooks == ["requestheaders", "request"] and play.client_saw == b""
    body = b"" if REQUESTS[name].startswith(b"GET") or "empty body" in name else BODY
    assert play.upstream_saw(0).endswith(b"\r\n\r\n" + body)
    play.upstream_says(0, answer())
    assert play.client_saw == answer() and play.client_is_open


@WAYS
@pytest.mark.parametrize("name", REQUESTS)
def test_what_comes_behind_a_request_is_the_next_one_and_waits_for_its_turn(name: str, way: str):
    play = fed(REQUESTS[name] + post(body=b"second"), way)
    assert play.hooks == ["requestheaders", "request"] and b"second" not in play.upstream_saw(0)
    play.upstream_says(0, answer())
    assert play.upstream_saw(0).endswith(b"second")
    play.upstream_says(0, answer(200, b"[2]"))
    assert play.client_saw == answer() + answer(200, b"[2]") and play.settled == 2


@WAYS
def test_a_client_that_wants_to_be_told_to_go_on_is_told(way: str):
    play = fed(post(headers="Expect: 100-continue\r\n")[: -len(BODY)], way)
    assert play.client_saw == b"HTTP/1.1 100 Continue\r\n\r\n" and play.upstreams == []
    play.client_says(BODY)
    assert b"expect" not in play.upstream_saw(0).lower()
    play.upstream_says(0, answer())
    assert play.client_saw == b"HTTP/1.1 100 Continue\r\n\r\n" + answer()


@pytest.mark.parametrize(
    ("request_", "said_by_provider", "kept"),
    [
        (post(), answer(), True),
        (post(headers="Connection: keep-alive\r\n"), answer(), True),
        (post(headers="Connection: close\r\n"), answer(), False),
        (post(headers="Connection: Close, x\r\n"), answer(), False),
        (b"GET /v1/models HTTP/1.0\r\nHost: gateway\r\n\r\n", answer(), False),
        (post(), SSE_HEAD + chunk(event("one")) + b"0\r\n\r\n", True),
        (post(headers="Connection: close\r\n"), SSE_HEAD + chunk(event("one")) + b"0\r\n\r\n", False),
    ],
    ids=["1.1", "keep-alive", "close", "close and more", "1.0", "stream", "stream, close"],
)
def test_a_connection_is_kept_unless_its_client_or_the_version_says_otherwise(request_, said_by_provider, kept: bool):
    play = Playbook()
    play.client_says(request_)
    play.upstream_says(0, said_by_provider)
    assert play.client_saw and play.client_is_open is kept


def test_while_the_process_drains_an_answer_is_the_last_on_its_connection():
    play = Playbook()
    play.client_says(post())
    HOST.draining = True
    play.upstream_says(0, answer())
    assert play.client_saw.endswith(b"{}") and not play.client_is_open


# -- refusals -------------------------------------------------------------------------------------------------------------------

REFUSED = {
    "two hosts": (CHAT + b"Host: other\r\nContent-Length: 2\r\n\r\n{}", 400),
    "no host": (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400),
    "two lengths": (CHAT + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "length and chunks": (CHAT + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: gateway\n\n", 400),
    "a folded line": (CHAT + b"X-A: b\r\n c\r\n\r\n", 400),
    "no HTTP": (b"\x16\x03\x01\x00 hello\r\n\r\n", 400),
    "a POST in HTTP/1.0": (post().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "an upgrade": (CHAT + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n", 426),
    "too many headers": (CHAT + b"A: b\r\n" * 200 + b"\r\n", 431),
    "a head that is too long": (CHAT + b"A: " + b"b" * 70_000 + b"\r\n\r\n", 431),
    "a head that never ends": (CHAT + b"A: " + b"b" * 70_000, 431),
    "trailers": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: b\r\n\r\n", 400),
    "a chunk of no size": (CHAT + b"Transfer-Encoding: chunked\r\n\r\nsize\r\n", 400),
    "a chunk longer than its size": (CHAT + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n", 400),
}


@WAYS
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_request_is_refused_in_json_and_the_connection_closed(name: str, way: str):
    raw, status = REFUSED[name]
    play = fed(raw, way)
    head, _, body = said(play).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode()) and b"content-type: application/json" in head
    assert json.loads(body)["error"]["message"] and b"server:" not in head.lower() and b"mitmproxy" not in said(play)
    assert not play.client_is_open and play.upstreams == [] and "request" not in play.hooks
    assert play.settled == ("requestheaders" in play.hooks)


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_behind_a_refused_one_is_never_served(name: str):
    play = fed(REFUSED[name][0] + b"\r\n\r\n" + post(), "whole")
    assert play.upstreams == [] and play.client_saw.count(b"content-length:") == 1


@pytest.mark.parametrize("name", ["two hosts", "no HTTP", "too many headers"])
def test_what_is_refused_before_there_is_a_flow_is_told_to_the_evidence(name: str):
    play = Playbook()
    told: list[tuple[str, str]] = []
    HOST.rejected = lambda address, code: told.append((address, code))
    play.client_says(REFUSED[name][0])
    assert told == [("192.0.2.1", "headers_too_large" if "headers" in name else "bad_request")]


def test_refusals_speak_the_dialect_of_their_path():
    play = Playbook()
    play.client_says(CHAT.replace(b"chat/completions", b"messages") + b"Upgrade: websocket\r\n\r\n")
    assert json.loads(play.client_saw.partition(b"\r\n\r\n")[2])["type"] == "error"


# -- limits -------------------------------------------------------------------------------------------------------------------------


def test_a_head_that_does_not_come_in_time_is_refused():
    play = Playbook(limits=EdgeLimits(header_timeout_s=10))
    play.client_says(CHAT)
    play.advance(9)
    assert play.client_is_open
    play.advance(2)
    assert play.client_saw.startswith(b"HTTP/1.1 408") and not play.client_is_open and play.hooks == []


def test_a_head_that_trickles_in_gets_no_more_time():
    play = Playbook(limits=EdgeLimits(header_timeout_s=10))
    for at in range(20):
        play.client_says(CHAT[at : at + 1])
        play.advance(1)
    assert play.client_saw.startswith(b"HTTP/1.1 408")


def test_the_next_head_on_a_connection_has_the_whole_time_again():
    play = Playbook(Chain("a.test", "a.test"), limits=EdgeLimits(header_timeout_s=10))
    play.client_says(CHAT)
    play.advance(8)
    play.client_says(b"Content-Length: 2\r\n\r\n{}")
    play.upstream_says(0, answer())
    play.client_says(CHAT)
    play.advance(8)
    assert play.client_is_open
    play.advance(3)
    assert b"HTTP/1.1 408" in play.client_saw


def test_a_body_may_take_as_long_as_its_bytes_keep_coming_fast_enough():
    play = Playbook(limits=EdgeLimits(header_timeout_s=10, body_rate=1000))
    play.client_says(CHAT + b"Content-Length: 60000\r\n\r\n")
    for _ in range(29):
        play.client_says(b"x" * 2000)
        play.advance(1)
    assert play.client_is_open and play.client_saw == b""
    play.client_says(b"x" * 2000)
    assert play.hooks[-1] == "request"


def test_a_body_that_trickles_in_is_refused():
    play = Playbook(limits=EdgeLimits(header_timeout_s=10, body_rate=1000))
    play.client_says(CHAT + b"Content-Length: 60000\r\n\r\n")
    for _ in range(15):
        play.client_says(b"x")
        play.advance(1)
    assert play.client_saw.startswith(b"HTTP/1.1 408") and play.upstreams == [] and play.settled == 1


@pytest.mark.parametrize(
    "raw",
    [
        CHAT + b"Content-Length: 5000\r\n\r\n",
        CHAT + b"Content-Length: 999999999999999\r\n\r\n",
        CHAT + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"x" * 700) + chunk(b"x" * 700),
    ],
    ids=["declared", "declared as endless", "in chunks"],
)
def test_a_body_that_is_too_large_is_refused_before_it_is_read(raw: bytes):
    play = Playbook(limits=EdgeLimits(body_bytes=1000))
    play.client_says(raw)
    assert play.client_saw.startswith(b"HTTP/1.1 413") and play.upstreams == [] and play.settled == 1


def test_what_comes_behind_a_request_that_is_still_served_is_bounded():
    play = Playbook(limits=EdgeLimits(header_bytes=4096))
    play.client_says(post())
    for _ in range(20):
        play.client_says(b"x" * 1000)
    assert not play.client_is_open and play.settled == 1 and play.hooks[-1] == "error"


# -- refusals of the chain ----------------------------------------------------------------------------------------------------------


class Strict(Chain):
    """A chain that refuses everything by its head."""

    def requestheaders(self, flow):
        refusal = Refusal("invalid_key", "this key is not valid")
        EXCHANGES[flow].refuse(refusal)
        flow.response = refusal_response(EXCHANGES[flow], refusal)


def test_a_refusal_by_the_head_goes_out_before_the_body_is_read():
    play = Playbook(Strict())
    play.client_says(CHAT + b"Content-Length: 1000000\r\n\r\n")
    assert play.client_saw.startswith(b"HTTP/1.1 401") and play.hooks[-1] == "response" and play.settled == 1


def test_a_small_body_behind_a_refusal_is_dropped_and_the_connection_kept():
    play = Playbook(Strict())
    play.client_says(post())
    play.client_says(post())
    assert play.client_saw.count(b"HTTP/1.1 401") == 2 and play.client_is_open and play.settled == 2


def test_a_large_body_behind_a_refusal_is_read_for_a_while_so_that_the_refusal_arrives():
    """Closing at once would reset the connection, and could destroy the refusal on its way (RFC 9112, section 9.6)."""
    play = Playbook(Strict())
    play.client_says(CHAT + b"Content-Length: 9000000\r\n\r\n" + b"x" * 1000)
    play.client_says(b"x" * 100_000)
    assert play.client_is_open
    for _ in range(20):
        play.client_says(b"x" * 100_000)
    assert not play.client_is_open


def test_a_body_behind_a_refusal_that_stops_coming_is_not_waited_for():
    play = Playbook(Strict())
    play.client_says(CHAT + b"Content-Length: 9000000\r\n\r\n" + b"x" * 1000)
    play.advance(5)
    assert not play.client_is_open and play.client_saw.startswith(b"HTTP/1.1 401")
