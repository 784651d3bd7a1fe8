"""IV: HTTP/2 requests that would be something else once they are written as HTTP/1.

Providers are mostly asked in HTTP/1.1, where a line break in a value is a new field and a space in a target a new word
(RFC 9113, sections 8.2.1, 8.2.2, 8.3.1 and 10.3).  Numbers in brackets are its sections.
"""

import json
from collections.abc import Mapping, Sequence

from support.gateway import Gateway
from support.wire import chat

from ordeal.frames import Field, Frames
from ordeal.provider import Provider
from ordeal.stage import Stage
from ordeal.suite import row

HOST = "api.openai.com"
BODY = json.dumps(chat("hello")).encode()
GOOD: Sequence[Field] = (
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":authority", HOST.encode()),
    (b":path", b"/v1/chat/completions"),
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
)
NOT_HERE = frozenset({400, 403, 421})
"""The answers to a request for somebody else: bad, denied, misdirected (RFC 9110, section 15.5.20)."""


def put(name: bytes, value: bytes) -> list[Field]:
    return [(key, value if key == name else old) for key, old in GOOD]


def add(*fields: Field) -> list[Field]:
    return [*GOOD, *fields]


def drop(name: bytes) -> list[Field]:
    return [(key, value) for key, value in GOOD if key != name]


MALFORMED: Mapping[str, Sequence[Field]] = {
    # what would end a line or a field (8.2.1)
    "CR LF in a value": add((b"x-a", b"b\r\nx-smuggled: 1")),
    "a request in a value": add((b"x-a", b"b\r\n\r\nGET /admin HTTP/1.1\r\nHost: evil\r\n\r\n")),
    "LF in a value": add((b"x-a", b"b\nc")),
    "CR in a value": add((b"x-a", b"b\rc")),
    "NUL in a value": add((b"x-a", b"b\0c")),
    "space before a value": add((b"x-a", b" b")),
    "space after a value": add((b"x-a", b"b\t")),
    "CR LF in a name": add((b"x-a: b\r\nx-b", b"c")),
    "a colon in a name": add((b"x:a", b"b")),
    "a space in a name": add((b"x a", b"b")),
    "capital letters in a name": add((b"X-A", b"b")),
    "a byte above 127 in a name": add((b"x\xff", b"b")),
    "an empty name": add((b"", b"b")),
    # what belongs to a connection (8.2.2)
    "connection": add((b"connection", b"close")),
    "keep-alive": add((b"keep-alive", b"timeout=5")),
    "proxy-connection": add((b"proxy-connection", b"keep-alive")),
    "transfer-encoding": add((b"transfer-encoding", b"chunked")),
    "upgrade": add((b"upgrade", b"websocket")),
    "te: gzip": add((b"te", b"gzip")),
    "te: trailers, chunked": add((b"te", b"trailers, chunked")),
    # the request line to be (8.3.1)
    "no path": drop(b":path"),
    "an empty path": put(b":path", b""),
    "two paths": [(b":path", b"/v1/models"), *GOOD],
    "a path without a slash": put(b":path", b"v1/chat/completions"),
    "a path that is an address": put(b":path", b"http://evil.example/v1/chat/completions"),
    "a path with a request": put(b":path", b"/v1/chat/completions HTTP/1.1\r\nX-Smuggled: 1\r\n"),
    "a path with a space": put(b":path", b"/v1/chat/completions HTTP/1.1"),
    "a path with a tab": put(b":path", b"/v1/chat/completions\tx"),
    "a path with NUL": put(b":path", b"/v1/chat/completions\0"),
    "a path with a fragment": put(b":path", b"/v1/chat/completions#x"),
    "the path *": put(b":path", b"*"),
    "no method": drop(b":method"),
    "an empty method": put(b":method", b""),
    "a method with a request": put(b":method", b"POST /admin HTTP/1.1\r\nHost: evil\r\n\r\nPOST"),
    "a method with a space": put(b":method", b"POST /admin"),
    "CONNECT": [(b":method", b"CONNECT"), (b":authority", b"evil.example:443")],
    "no scheme": drop(b":scheme"),
    "a scheme with a request": put(b":scheme", b"https://evil.example/\r\n"),
    "another scheme": put(b":scheme", b"javascript"),
    "an unknown pseudo-header": [(b":target", b"x"), *GOOD],
    "a pseudo-header of answers": [(b":status", b"200"), *GOOD],
    "extended CONNECT": [(b":protocol", b"websocket"), *GOOD],
    "a pseudo-header behind the others": [*GOOD[1:], GOOD[0]],
    # where the body ends (8.1.1)
    "two lengths": add((b"content-length", b"%d" % len(BODY))),
    "a list of lengths": put(b"content-length", b"%d, %d" % (len(BODY), len(BODY))),
    "a length with a sign": put(b"content-length", b"+%d" % len(BODY)),
    "a length that is too small": put(b"content-length", b"5"),
    "a length that is too large": put(b"content-length", b"5000"),
    # whose request it is (8.3.1)
    "no authority": drop(b":authority"),
    "an empty authority": put(b":authority", b""),
    "two authorities": [(b":authority", b"evil.example"), *GOOD],
    "an authority with a user": put(b":authority", b"evil@" + HOST.encode()),
    "an authority with a path": put(b":authority", HOST.encode() + b"/x"),
    "an authority with CR LF": put(b":authority", HOST.encode() + b"\r\nx-smuggled: 1"),
    "two hosts": add((b"host", HOST.encode()), (b"host", HOST.encode())),
    "a host that is not the authority": add((b"host", b"evil.example")),
}  # fmt: skip
ELSEWHERE: Mapping[str, Sequence[Field]] = {
    "another authority": put(b":authority", b"evil.example"),
    "the authority of another provider": put(b":authority", b"api.anthropic.com"),
    "another port": put(b":authority", HOST.encode() + b":8443"),
    "another host and no authority": [*drop(b":authority"), (b"host", b"evil.example")],
}
FINE: Mapping[str, Sequence[Field]] = {
    "a length": GOOD,
    "no length": drop(b"content-length"),
    "te: trailers": add((b"te", b"trailers")),
    "an authority with its port": put(b":authority", HOST.encode() + b":443"),
    "a host that is the authority": add((b"host", HOST.encode())),
}
"""The counter-check: what is well-formed is served, whatever came on other connections."""


@row("IV-15", "HTTP/2 requests that would be others in HTTP/1", defence="http2_validation")
def injected(stage: Stage) -> None:
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        wrong = {}
        for cases, allowed in ((MALFORMED, {400}), (ELSEWHERE, NOT_HERE)):
            for name, fields in cases.items():
                provider.reset_calls()
                what, good = _refusal(gateway, fields, allowed)
                if not good or provider.calls:
                    wrong[name] = f"{what}, {len(provider.calls)} forwarded"
        total = len(MALFORMED) + len(ELSEWHERE)
        stage.note("refused", f"{total - len(wrong)}/{total}")
        if wrong:
            stage.note("not refused", wrong)
        provider.reset_calls()
        for name, fields in FINE.items():
            with Frames(gateway, HOST) as client:
                found = client.outcome(client.request(fields, BODY))
                assert found.status == 200, f"{name}: {found}"
        assert [call.body for call in provider.calls] == [BODY] * len(FINE)
        assert all(call.headers["host"] == f"127.0.0.1:{provider.port}" for call in provider.calls)
    assert not wrong, f"{len(wrong)} of {total} not refused: {', '.join(wrong)}"


def _refusal(gateway: Gateway, fields: Sequence[Field], allowed: set[int] | frozenset[int]) -> tuple[str, bool]:
    """Return what came of a request, and whether that is a refusal: an error of the stream or connection, or an answer of ours."""
    with Frames(gateway, HOST) as client:
        found = client.outcome(client.request(fields, BODY))
    if found.status:
        return str(found), found.status in allowed and found.body.startswith(b'{"error":')
    return str(found), found.reset is not None or found.goaway is not None
