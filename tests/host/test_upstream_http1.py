"""The upstream's side of HTTP/1: interim answers skipped, heads bounded, bodies in every framing, connections kept or not."""

import pytest
from host.playbook import BODY, Chain, Playbook, post
from host.providers import JSON_HEAD, LAST, answer, chunk

from jupiter_addons.host.state import EdgeLimits
from jupiter_addons.host.upstream_http1 import HEAD_BYTES, INTERIM

WAYS = pytest.mark.parametrize("by", [None, 1, 5], ids=["whole", "byte by byte", "in fives"])

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"


def asked() -> Playbook:
    """Return a call whose one provider has been asked, with another request to come on the same connections."""
    play = Playbook(Chain("a.test", "a.test"), limits=EdgeLimits(attempts=1))
    play.client_says(post())
    return play


def says(play: Playbook, raw: bytes, by: int | None = None) -> None:
    for start in range(0, len(raw), by or len(raw)):
        play.upstream_says(0, raw[start : start + (by or len(raw))])


# -- what is sent ------------------------------------------------------------------------------------------------------------


def test_a_request_goes_out_with_its_body_whole():
    raw = asked().upstream_saw(0)
    assert raw.startswith(b"POST /of/a.test HTTP/1.1\r\n") and raw.endswith(b"\r\n\r\n" + BODY)


# -- what is read ---------------------------------------------------------------------------------------------------------------

ANSWERS = {
    "of declared length": (answer(200, b'{"a":1}'), b'{"a":1}'),
    "in chunks": (JSON_HEAD + chunk(b'{"a"') + chunk(b":1}") + LAST, b'{"a":1}'),
    "in chunks with extensions": (JSON_HEAD + b'7;x="y"\r\n{"a":1}\r\n' + LAST, b'{"a":1}'),
    "empty": (answer(200, b""), b""),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "without a reason": (b'HTTP/1.1 200\r\nContent-Length: 7\r\n\r\n{"a":1}', b'{"a":1}'),
    "after one interim answer": (CONTINUE + answer(200, b'{"a":1}'), b'{"a":1}'),
    "after several": ((CONTINUE + HINTS) * 3 + answer(200, b'{"a":1}'), b'{"a":1}'),
}


@WAYS
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_the_same_however_it_is_cut(name: str, by: int | None):
    raw, body = ANSWERS[name]
    play = asked()
    says(play, raw, by)
    delivered = play.client_saw.partition(b"\r\n\r\n")[2]
    assert body in delivered.replace(b"\r\n", b"") and play.settled == 1 and play.hooks[-1] == "response"
    assert b"103" not in play.client_saw and b"100 Continue" not in play.client_saw


def test_an_answer_without_a_length_ends_with_its_connection():
    play = asked()
    play.upstream_says(0, b"HTTP/1.1 200 OK\r\n\r\nto the end")
    assert play.settled == 0
    play.upstream_leaves(0)
    assert b"to the end" in play.client_saw and play.settled == 1 and play.hooks[-1] == "response"


BROKEN = {
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": JSON_HEAD + b"xyz\r\n",
    "trailers": JSON_HEAD + chunk(b"{}") + b"0\r\nX-A: b\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a head that is too long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * (HEAD_BYTES + 4096) + b"\r\n\r\n",
    "a head that never ends": b"HTTP/1.1 200 OK\r\nX: " + b"y" * (HEAD_BYTES + 1),
    "interim answers without end": HINTS * (INTERIM + 1),
}


@pytest.mark.parametrize("by", [None, 997], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_answer_ends_the_attempt_and_its_connection(name: str, by: int | None):
    play = asked()
    says(play, BROKEN[name], by)
    assert play.client_saw.startswith(b"HTTP/1.1 502 ") and b'"code":"provider_' in play.client_saw
    assert not play.upstreams[0].connected and play.settled == 1


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_provider_said_wrong_is_not_quoted(name: str):
    play = asked()
    says(play, BROKEN[name])
    for quoted in (b"OpenSSH", b"yyyy", b"xyz", b"Early"):
        assert quoted not in play.client_saw


def test_as_many_interim_answers_as_allowed_are_skipped():
    play = asked()
    says(play, HINTS * INTERIM + answer())
    assert play.client_saw == answer()


def test_each_request_may_have_interim_answers():
    play = asked()
    says(play, HINTS * INTERIM + answer())
    play.client_says(post())
    says(play, HINTS * INTERIM + answer())
    assert play.client_saw == answer() * 2


# -- whether the connection is kept ---------------------------------------------------------------------------------------------------

KEPT = {
    "length": (answer(), True),
    "chunks": (JSON_HEAD + chunk(b"{}") + LAST, True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    "keep-alive said": (answer(200, b"{}", "Connection: keep-alive\r\n"), True),
    "close said": (answer(200, b"{}", "Connection: close\r\n"), False),
    "close said among others": (answer(200, b"{}", "Connection: x, Close\r\n"), False),
    "1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", False),
    "1.0 and keep-alive": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}", True),
    "more than the answer": (answer() + b"more", False),
    "a second answer": (answer() + answer(), False),
    "a trickle of line ends": (answer() + b"\r\n", False),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_connection_is_kept_when_nothing_speaks_against_it(name: str):
    raw, kept = KEPT[name]
    play = asked()
    says(play, raw)
    assert play.upstreams[0].connected is kept
    play.client_says(post())
    assert len(play.upstreams) == (1 if kept else 2)
    play.upstream_says(-1, answer(200, b"[2]"))
    assert play.client_saw.endswith(answer(200, b"[2]")) and play.settled == 2


@pytest.mark.parametrize("raw", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"\r\n", answer(200, b'{"for":"nobody"}')])
def test_bytes_that_nobody_asked_for_close_a_kept_connection_and_are_nobody_s_answer(raw: bytes):
    play = asked()
    says(play, answer())
    says(play, raw)
    assert not play.upstreams[0].connected
    play.client_says(post())
    play.upstream_says(1, answer(200, b"[2]"))
    assert play.client_saw == answer() + answer(200, b"[2]")


def test_a_kept_connection_that_its_provider_closes_is_not_used_again():
    play = asked()
    says(play, answer())
    play.upstream_leaves(0)
    play.client_says(post())
    assert len(play.upstreams) == 2 and play.asked == []


def test_what_the_chain_does_to_an_answer_s_headers_does_not_change_whether_its_connection_is_kept():
    play = asked()
    says(play, answer(200, b"{}", "Connection: close\r\n"))
    assert not play.upstreams[0].connected and play.client_is_open


def test_a_request_that_is_given_up_takes_its_connection_with_it():
    play = asked()
    says(play, JSON_HEAD + chunk(b"{"))
    play.client_leaves()
    assert not play.upstreams[0].connected
