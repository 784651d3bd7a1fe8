"""IV: HTTP/1 requests that two parsers could read differently, and what is smuggled behind them.

Each case is one request followed, on the same connection, by a second one that is whole and authorised.  The first is to
be answered with one error and the connection closed, because nobody can know where its body ends; so the second, which a
smuggler would have hidden in it, is never looked at.  Source: RFC 9112 and RFC 9110; re-created, not taken from any suite.
"""

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from support.gateway import Gateway
from support.wire import Client, chat

from ordeal.calls import assert_refused
from ordeal.provider import Provider
from ordeal.stage import Stage
from ordeal.suite import row

TAG, KEY, PROXY_KEY = b"case-000", b"@KEY@", b"@PROXY-KEY@"
"""What stands in a case for its own mark, and for the credentials of either door."""
BODY = json.dumps(chat(TAG.decode())).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CODED = b"Transfer-Encoding: chunked\r\n"
POST, HOST = b"POST /v1/chat/completions HTTP/1.1\r\n", b"Host: gateway\r\n"
KNOWN = b"Authorization: Bearer @KEY@\r\nContent-Type: application/json\r\nX-Tag: case-000\r\n"
SECOND = POST + HOST + KNOWN + LENGTH + b"Connection: close\r\n\r\n" + BODY

WAIT_S = 4.0
"""How long a connection may stay open after its answer: a refused body is read, and dropped, for two seconds."""

_ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")


def sized(*fields: bytes, line: bytes = POST, host: bytes = HOST, body: bytes = BODY) -> bytes:
    """Return a request with these fields; what it has for a body follows."""
    return line + host + KNOWN + b"".join(fields) + b"\r\n" + body


def length(value: bytes) -> bytes:
    return sized(b"Content-Length: " + value + b"\r\n")


def coded(value: bytes, *more: bytes) -> bytes:
    return sized(b"Transfer-Encoding: " + value + b"\r\n", *more, body=CHUNKED)


def field(line: bytes) -> bytes:
    return sized(line, LENGTH)


def chunks(raw: bytes) -> bytes:
    return sized(CODED, body=raw)


def line(text: bytes) -> bytes:
    return sized(LENGTH, line=text)


def host(value: bytes) -> bytes:
    return sized(LENGTH, host=b"Host: " + value + b"\r\n")


SIZE, MORE = b"%x" % len(BODY), b"%s\r\n0\r\n\r\n" % BODY

UNFRAMED: Mapping[str, bytes] = {
    # RFC 9112, section 6.1 and 6.3: one length, or one coding that ends in chunked, and never both
    "length, then chunked": sized(LENGTH, CODED, body=CHUNKED),
    "chunked, then length": sized(CODED, LENGTH, body=CHUNKED),
    "length 0 and chunked": sized(b"Content-Length: 0\r\n", CODED, body=CHUNKED),
    "chunked twice, two lines": coded(b"chunked", CODED),
    "chunked twice, one line": coded(b"chunked, chunked"),
    "identity, chunked": coded(b"identity, chunked"),
    "chunked, identity": coded(b"chunked, identity"),
    "chunked and an unknown one, two lines": coded(b"chunked", b"Transfer-Encoding: x\r\n"),
    "an unknown coding": coded(b"xchunked"),
    "gzip, chunked": coded(b"gzip, chunked"),
    "gzip alone": coded(b"gzip"),
    "a coding in quotes": coded(b'"chunked"'),
    "a coding with a parameter": coded(b"chunked;q=1"),
    "a coding after a vertical tab": coded(b"\x0bchunked"),
    "an empty coding and a length": coded(b"", LENGTH),
    "a coding in HTTP/1.0": sized(CODED, line=POST.replace(b"1.1", b"1.0"), body=CHUNKED),
    "a folded coding": sized(b"Transfer-Encoding:\r\n chunked\r\n", body=CHUNKED),
    "space before the colon of a coding": sized(b"Transfer-Encoding : chunked\r\n", body=CHUNKED),
    "space before the colon of a length": sized(LENGTH.replace(b":", b" :")),
    "length twice, the same": sized(LENGTH, LENGTH),
    "length twice, different": sized(LENGTH, b"Content-Length: 0\r\n"),
    "length as a list, the same": length(b"2, 2"),
    "length with a sign": length(b"+%d" % len(BODY)),
    "a negative length": length(b"-1"),
    "a hexadecimal length": length(b"0x%x" % len(BODY)),
    "a length with a leading zero": length(b"0%d" % len(BODY)),
    "a length with an underscore": length(b"1_0"),
    "a length with a point": length(b"%d.0" % len(BODY)),
    "an empty length": length(b""),
    "a length of two numbers": length(b"1 1"),
    "a length in other digits": length("\u0661\u0662".encode()),
    "a length of 23 digits": length(b"9" * 23),
    "a length of 5000 digits": length(b"9" * 5000),
    # section 5: field lines
    "a folded line": field(b"X-A: b\r\n c\r\n"),
    "a folded first line": field(b"X-A:\r\n\tb\r\n"),
    "space before the first field": sized(LENGTH, host=b" X: y\r\n" + HOST),
    "space before a colon": field(b"X-A : b\r\n"),
    "no colon": field(b"nothing\r\n"),
    "no name": field(b": b\r\n"),
    "a bracket in a name": field(b"X(A): b\r\n"),
    "NUL in a name": field(b"X\0A: b\r\n"),
    "a byte above 127 in a name": field(b"X-\xe9: b\r\n"),
    "NUL in a value": field(b"X-A: b\0c\r\n"),
    "a control byte in a value": field(b"X-A: b\x01c\r\n"),
    "a bare CR in a value": field(b"X-A: b\rContent-Length: 0\r\n"),
    "a CR before the CRLF": field(b"X-A: b\r\r\n"),
    # section 2.2: a bare LF is no end of a line to everybody
    "bare LF after the request line": line(POST[:-2] + b"\n"),
    "bare LF after a field": field(b"X-A: b\n"),
    "bare LF after the length": sized(LENGTH[:-2] + b"\n"),
    "bare LF at the end of the head": sized(LENGTH)[: -len(BODY) - 2] + b"\n" + BODY,
    "bare LF everywhere": sized(LENGTH).replace(b"\r\n", b"\n"),
    "bare LF before the request line": b"\n" + sized(LENGTH),
    # section 7.1: chunks
    "a chunk extension": chunks(SIZE + b";a=b\r\n" + MORE),
    "space before a chunk extension": chunks(SIZE + b" ;a=b\r\n" + MORE),
    "bare LF in a chunk extension": chunks(SIZE + b";a\nb\r\n" + MORE),
    "a bare CR in a chunk extension": chunks(SIZE + b";a\rb\r\n" + MORE),
    "a chunk extension of 100 kB": chunks(SIZE + b";" + b"a" * 100_000 + b"\r\n" + MORE),
    "an extension of the last chunk": chunks(SIZE + b"\r\n%s\r\n0;a=b\r\n\r\n" % BODY),
    "a chunk size with a prefix": chunks(b"0x" + SIZE + b"\r\n" + MORE),
    "a chunk size with a sign": chunks(b"+" + SIZE + b"\r\n" + MORE),
    "a negative chunk size": chunks(b"-1\r\n" + MORE),
    "an empty chunk size": chunks(b"\r\n" + MORE),
    "space before a chunk size": chunks(b" " + SIZE + b"\r\n" + MORE),
    "space after a chunk size": chunks(SIZE + b" \r\n" + MORE),
    "a chunk size with an underscore": chunks(b"1_0\r\n" + MORE),
    "a chunk size of 2^60": chunks(b"1" + b"0" * 15 + b"\r\n" + MORE),
    "a chunk size of 25 digits": chunks(b"1" * 25 + b"\r\n" + MORE),
    "bare LF after a chunk size": chunks(SIZE + b"\n" + MORE),
    "bare LF after a chunk": chunks(SIZE + b"\r\n%s\n0\r\n\r\n" % BODY),
    "nothing after a chunk": chunks(SIZE + b"\r\n%s0\r\n\r\n" % BODY),
    "a chunk longer than its size": chunks(b"%x\r\n" % (len(BODY) - 1) + MORE),
    "bare LF after the last chunk": chunks(SIZE + b"\r\n%s\r\n0\n\n" % BODY),
    # section 3: the request line
    "two spaces in the request line": line(POST.replace(b" /", b"  /")),
    "space before the method": line(b" " + POST),
    "space after the version": line(POST.replace(b"\r", b" \r")),
    "tabs in the request line": line(POST.replace(b" ", b"\t")),
    "a vertical tab in the request line": line(POST.replace(b" /", b"\x0b/")),
    "four words in the request line": line(POST.replace(b" HTTP", b" x HTTP")),
    "a bracket in the method": line(b"PO(ST" + POST[4:]),
    "HTTP/1.2": line(POST.replace(b"1.1", b"1.2")),
    "HTTP/2.0 in clear text": line(POST.replace(b"1.1", b"2.0")),
    "a version in small letters": line(POST.replace(b"HTTP", b"http")),
    "a version of two digits": line(POST.replace(b"1.1", b"1.10")),
    "the HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    # section 3.2: the target and the host
    "NUL in the target": line(POST.replace(b" HTTP", b"\0 HTTP")),
    "a byte above 127 in the target": line(POST.replace(b" HTTP", b"?\xff HTTP")),
    "a fragment": line(POST.replace(b" HTTP", b"#x HTTP")),
    "a target without a slash": line(POST.replace(b" /", b" ")),
    "a target of backslashes": line(POST.replace(b"/v1/chat/", b"\\v1\\chat\\")),
    "no host": sized(LENGTH, host=b""),
    "an empty host": host(b""),
    "two hosts, the same": sized(HOST, LENGTH),
    "two hosts, different": sized(b"Host: other\r\n", LENGTH),
    "a list of hosts": host(b"a, b"),
    "a folded host": host(b"a\r\n b"),
}  # fmt: skip
"""Case -> bytes of its first request."""

ALSO: Mapping[str, frozenset[int]] = {
    name: frozenset(statuses)
    for names, statuses in (
        (("an unknown coding", "gzip, chunked", "gzip alone", "chunked and an unknown one, two lines"), {501}),
        (("a length of 23 digits", "a chunk size of 2^60", "a chunk size of 25 digits"), {413}),
        (("a length of 5000 digits", "a chunk extension of 100 kB"), {413, 431}),
        (("HTTP/1.2", "HTTP/2.0 in clear text"), {505}),
    )
    for name in names
}
"""Statuses other than 400 that are right for some (RFC 9112, sections 2.6 and 6.1; RFC 9110, section 15.5.14)."""

FRAMED: Mapping[str, bytes] = {
    "a length": sized(LENGTH),
    "chunks": chunks(CHUNKED),
    "capital letters": sized(CODED.upper(), body=CHUNKED.upper().replace(BODY.upper(), BODY)),
    "a tab before a value": sized(CODED.replace(b": ", b":\t"), body=CHUNKED),
    "spaces after a value": sized(LENGTH.replace(b"\r", b" \t \r")),
    "many chunks": chunks(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"),
    "zeros before a chunk size, and for the last": chunks(b"00" + SIZE + b"\r\n%s\r\n000\r\n\r\n" % BODY),
    "an empty line before the request line": b"\r\n" + sized(LENGTH),
    "a host with a port": host(b"localhost:4000"),
}
"""The counter-check, a good request each: a gateway that refuses everything has not understood anything."""


@dataclass
class Conversation:
    """What came back for a case."""

    statuses: list[int]
    raw: bytes
    closed: bool
    served: int
    """Requests of this case that a provider saw."""

    @property
    def is_whole(self) -> bool:
        """Whether both requests were served, and the connection closed as the second asks for."""
        return (self.statuses, self.served, self.closed) == ([200, 200], 2, True)

    def complaints(self, allowed: Iterable[int]) -> list[str]:
        """Return what is wrong with it as a refusal."""
        found = [] if len(self.statuses) == 1 else [f"{len(self.statuses)} answers"]
        if self.statuses and self.statuses[0] not in allowed:
            found.append(f"answered {self.statuses[0]}")
        head, _, body = self.raw.partition(b"\r\n\r\n")
        if self.statuses and not (b"content-type: application/json" in head.lower() and body[:9] == b'{"error":'):
            found.append("the error is not JSON")
        if b"mitmproxy" in self.raw.lower() or b"\nserver:" in head.lower():
            found.append("names its server")
        if not self.closed:
            found.append("stays open")
        if self.served:
            found.append(f"{self.served} served")
        return found


def converse(gateway: Gateway, provider: Provider, number: int, raw: bytes) -> Conversation:
    """Send a request and a second one behind it, and read until the connection ends or nothing comes any more."""
    tag = b"case-%03d" % number
    raw = (raw + SECOND).replace(TAG, tag).replace(PROXY_KEY, gateway.proxy_authorization().encode())
    data, closed = b"", True
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=WAIT_S) as connection:
        try:
            connection.sendall(raw.replace(KEY, gateway.key.encode()))
            while piece := connection.recv(65536):
                data += piece
        except TimeoutError:
            closed = False
        except OSError:
            pass  # cut off while sending is closed as well; what had come is kept
    served = sum(tag in call.body or call.headers.get("x-tag") == tag.decode() for call in provider.calls)
    return Conversation([int(status) for status in _ANSWER.findall(data)], data, closed, served)


def converse_all(gateway: Gateway, provider: Provider, cases: Iterable[bytes], start: int = 1) -> list[Conversation]:
    """Hold a conversation on each case, some at a time: most of the time is spent waiting for connections to close."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda case: converse(gateway, provider, *case), enumerate(cases, start)))


@row("IV-13", "requests that two parsers frame differently", defence="strict_framing", short=True)
def smuggled(stage: Stage) -> None:
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        talks = converse_all(gateway, provider, UNFRAMED.values())
        wrong = {
            name: complaints
            for name, talk in zip(UNFRAMED, talks, strict=True)
            if (complaints := talk.complaints({400} | ALSO.get(name, frozenset())))
        }
        good = converse_all(gateway, provider, FRAMED.values(), 500)
        refused = [name for name, talk in zip(FRAMED, good, strict=True) if not talk.is_whole]
    stage.note("refused", f"{len(UNFRAMED) - len(wrong)}/{len(UNFRAMED)}")
    stage.note("served", f"{len(FRAMED) - len(refused)}/{len(FRAMED)}")
    if wrong:
        stage.note("not refused", {name: "; ".join(complaints) for name, complaints in wrong.items()})
    assert not wrong, f"{len(wrong)} of {len(UNFRAMED)} not refused: {', '.join(wrong)}"
    assert not refused, f"good requests not served, or not closed after: {', '.join(refused)}"


def trailed(*trailers: bytes) -> bytes:
    """Return a chunked request with these trailer fields and nothing behind."""
    return sized(CODED, body=CHUNKED[:-2] + b"".join(trailer + b"\r\n" for trailer in trailers) + b"\r\n")


TRAILED = (
    trailed(b"X-A: b"),
    trailed(b"Content-Length: 3"),
    trailed(b"Transfer-Encoding: chunked", b"Host: evil"),
    trailed(b"Authorization: Bearer other"),
    trailed(b"no colon"),
    trailed(b"X-A: b\r\n c"),
    trailed(b"X-Long: " + b"a" * 200_000),
    trailed(*(b"X-%d: y" % number for number in range(5000))),
)


@row("IV-14", "trailers behind chunks", defence="strict_chunks")
def trailers(stage: Stage) -> None:
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        for raw in TRAILED:
            what = raw[-60:].strip()
            least = float("inf")
            for _ in range(3):  # a wait of ours is there each time, one of this machine's is not
                began = time.monotonic()
                with Client(gateway.port) as client:
                    with contextlib.suppress(OSError):  # cut off while sending is well
                        client.send(raw.replace(KEY, gateway.key.encode()))
                    answer = client.answer()
                    assert_refused(answer, "openai", 400, 431)
                    assert client.is_closed(), f"{what!r}: the connection stays open"
                least = min(least, time.monotonic() - began)
                if least < 1:
                    break
            assert least < 1, f"{what!r}: it took {least:.1f} s"
        assert not provider.calls
