"""The doorkeeper: whole requests refused from their bytes while there are too many, everything else handed on untouched."""

import time

import pytest

from jupiter_addons.host.doorkeeper import Doorkeeper, turned_away
from jupiter_addons.host.state import EdgeLimits, Host

PEER = ("192.0.2.1", 40000)
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway\r\nContent-Length: 2\r\n\r\n{}"


class FakeDoor:
    """A connection that notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def write(self, pieces: list[bytes]) -> None:
        self.done.append(b"".join(pieces))

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")


class Post:
    """A doorkeeper, its connection, and what it has handed on."""

    def __init__(self, **limits: float) -> None:
        self.host = Host(limits=EdgeLimits(**limits))  # type: ignore[arg-type] # numbers, whichever they are
        self.wire, self.served = FakeDoor(), list[bytes]()
        self.keeper = Doorkeeper(self.host, PEER, self.wire, self.served.append)

    @property
    def is_counted(self) -> bool:
        return self.keeper in self.host.handlers and self.host.addresses[PEER[0]] == 1


def full(**limits: float) -> Post:
    return Post(in_flight=0, **limits)


NOT_PLAIN = {
    "half a head": CHAT[:40],
    "a body that is still to come": CHAT[:-1],
    "more than one request": CHAT + CHAT,
    "a probe": b"GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "a tunnel": b"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n",
    "chunks": CHAT.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    "two lengths": CHAT.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n"),
    "no length": CHAT.replace(b"Content-Length: 2\r\n", b""),
    "a length that is none": CHAT.replace(b"Length: 2", b"Length: 2, 2"),
    "TLS": b"\x16\x03\x01\x02\x00",
}


def test_a_whole_request_is_refused_and_its_connection_kept():
    post = full()
    for _ in range(2):
        post.keeper.wire_data(post.wire, CHAT)
    first, second = post.wire.done
    assert isinstance(first, bytes) and first == second
    assert first.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: " in first and b"connection: close" not in first
    assert post.is_counted and post.served == []


def test_who_is_refused_is_told_to_the_evidence():
    post, told = full(), list[tuple[str, str]]()
    post.host.rejected = lambda address, code: told.append((address, code))
    post.keeper.wire_data(post.wire, CHAT)
    assert told == [(PEER[0], "overloaded")]


def test_refusals_speak_the_dialect_of_their_path():
    said = turned_away(full().host, PEER, CHAT.replace(b"/v1/chat/completions", b"/v1/messages"))
    assert b'"type":"error"' in said.replace(b" ", b"")


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_is_not_plainly_one_whole_request_is_handed_on(name: str):
    post = full()
    post.keeper.wire_data(post.wire, NOT_PLAIN[name])
    assert post.served == [NOT_PLAIN[name]] and post.wire.done == []
    assert not post.is_counted, "the handler counts itself"


def test_once_there_is_room_a_request_is_handed_on():
    post = Post(in_flight=1)
    post.keeper.wire_data(post.wire, CHAT)
    assert post.served == [CHAT] and post.wire.done == []


@pytest.mark.parametrize("when", ["before its first request", "after a refusal"])
def test_a_connection_on_which_no_request_comes_is_closed(when: str, monkeypatch: pytest.MonkeyPatch):
    post = full(header_timeout_s=10.0, keep_alive_s=75.0)
    patience_s = 10.0
    if when == "after a refusal":
        post.keeper.wire_data(post.wire, CHAT)
        patience_s = 75.0
    post.wire.done.clear()
    began = time.monotonic()
    for later_s, done in ((patience_s - 1, []), (patience_s + 1, ["close"])):
        monkeypatch.setattr(time, "monotonic", lambda later_s=later_s: began + later_s)
        post.keeper.tend()
        assert post.wire.done == done
    assert not post.is_counted


ENDINGS = {
    "the client hangs up": (lambda keeper, wire: keeper.wire_ended(wire, lost=False), "close"),
    "the connection breaks": (lambda keeper, wire: keeper.wire_ended(wire, lost=True), "close"),
    "the client takes no refusals": (lambda keeper, wire: keeper.wire_congested(wire, congested=True), "close"),
    "the process drains": (lambda keeper, _: keeper.close_connection(keeper.client), "close"),
    "the process ends": (lambda keeper, _: keeper.cancel("shutdown"), "abort"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_connection_that_ends_is_counted_no_more(name: str):
    post = full()
    end, done = ENDINGS[name]
    end(post.keeper, post.wire)
    assert post.wire.done == [done] and not post.host.handlers and not post.host.addresses
    post.keeper.cancel("again")
    assert not post.host.addresses
