"""IV: input that is too much, or not for whom it seems to be.  How requests are framed is `rows_iv_framing`, HTTP/2
`rows_iv_http2`, compressed bodies `rows_iv_encoding`."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Mapping

from support.gateway import Gateway
from support.h2_client import H2Client, Stream
from support.wire import Answer, Client, chat, get, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread
from ordeal.calls import assert_refused
from ordeal.load import Meter
from ordeal.provider import Provider, hang
from ordeal.rows_iv_framing import BODY, HOST, LENGTH, POST, converse_all, host, line, sized
from ordeal.stage import Stage
from ordeal.suite import row

CHAT = "/v1/chat/completions"
LIMIT_MB = 10 * 1024**2 / 1e6
"""`proxy.limits.body` where a row does not set it."""
PIECE = b" " * 65536
LARGE = 800 * len(PIECE)


# -- too much -------------------------------------------------------------------------------------------------------------


def as_length(gateway: Gateway) -> Answer:
    return _push(gateway, b"Content-Length: %d" % LARGE, PIECE, b"")


def as_chunks(gateway: Gateway) -> Answer:
    return _push(gateway, b"Transfer-Encoding: chunked", b"10000\r\n" + PIECE + b"\r\n", b"0\r\n\r\n")


def _push(gateway: Gateway, framing: bytes, piece: bytes, end: bytes) -> Answer:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\nContent-Type: application/json\r\n"
    )
    with Client(gateway.port) as client:
        client.send(head.encode() + framing + b"\r\n\r\n")
        with contextlib.suppress(OSError):  # cut off while sending is what we want
            for _ in range(LARGE // len(PIECE)):
                client.send(piece)
            client.send(end)
        return client.answer()


def as_data(gateway: Gateway) -> Answer:
    """Send DATA as the windows allow, until there is an answer."""
    with H2Client.through_tunnel(gateway) as client:
        stream = client.streams[1] = Stream(1)
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", "api.openai.com"), (":path", CHAT)]
        client.h2.send_headers(1, [*fields, ("content-type", "application/json"), ("authorization", "Bearer own")])
        sent = 0
        while sent < LARGE and not stream.status and stream.reset is None:
            room = min(client.h2.local_flow_control_window(1), 16384)
            if room:
                client.h2.send_data(1, PIECE[:room])
                sent += room
                client.socket.sendall(client.h2.data_to_send())
            else:
                client.read_until(lambda: stream.status or stream.reset or client.h2.local_flow_control_window(1))
        return client.answer(stream)


@contextlib.contextmanager
def busy_store(gateway: Gateway, seconds: float = 0.5) -> Iterator[None]:
    """Let nothing be recorded for a while, as a slow disk would: what arrives meanwhile must not pile up."""
    db = sqlite3.connect(gateway.directory / "state/evidence.db", isolation_level=None, check_same_thread=False)
    db.execute("BEGIN IMMEDIATE")
    release = threading.Timer(seconds, db.rollback)
    release.start()
    try:
        yield
    finally:
        release.join()
        db.close()


@row("IV-06", "bodies of 50 MB: by length, in chunks, as HTTP/2 data", defence="body_limit")
def large_bodies(stage: Stage) -> None:
    with RehearsalThread(api_key="provider-key") as provider:
        gateway = stage.gateway(provider.port)
        meter = Meter(gateway.process.pid)
        with Client(gateway.port) as client:
            assert client.ask(post(CHAT, chat(), gateway.key)).status == 200
        for way in (as_length, as_chunks, as_data):
            meter.forget_peak()
            before = meter.rss_mb()
            with busy_store(gateway):
                assert_refused(way(gateway), "openai", 413)
            assert_refused(way(gateway), "openai", 413)
            rise = meter.peak_mb() - before
            stage.note(f"MB, {way.__name__}", round(rise, 1))
            assert rise <= 2 * LIMIT_MB, f"{way.__name__}: memory rose by {rise:.0f} MB"
        assert provider.journal.seen == 1


@row("IV-11", "endless headers, one line of 20 MB", defence="header_limits", short=True)
def endless_headers(stage: Stage) -> None:
    with RehearsalThread(api_key="provider-key") as provider:
        gateway = stage.gateway(provider.port)
        with Client(gateway.port) as client:
            client.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX-Long: ")
            try:
                for _ in range(320):
                    client.send(b"a" * 65536)
            except OSError:
                pass  # cut off while sending is what we want
            answer = client.answer()
        assert answer.status == 431, f"answered {answer.status}"
        assert provider.journal.seen == 0


POST_FIELDS = 4
"""How many headers `support.wire.post` sends with a key."""
TWINS = (
    "X_User", "X_Api_Key", "X_Jupiter_User", "Authorization_", "Proxy_Authorization", "X_Forwarded_For", "X_Real_Ip",
    "X_Request_Id", "Content_Length", "Transfer_Encoding", "OpenAI_Organization", "Api_Key",
)  # fmt: skip
"""Names that a server which makes variables of headers, as CGI does, takes for those with `-` (RFC 3875, section 4.1.18)."""


def more(raw: bytes, fields: Mapping[str, str]) -> bytes:
    """Return a request with more header fields."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return raw.replace(b"\r\n", b"\r\n" + lines.encode(), 1)


@row("IV-12", "10,000 tiny headers, and twins of headers with underscores", defence="header_limits", short=True)
def many_headers(stage: Stage) -> None:
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        for count in (10_000, 101 - POST_FIELDS):
            with Client(gateway.port) as client:
                with contextlib.suppress(OSError):  # cut off while sending is well
                    client.send(more(post(CHAT, chat(), gateway.key), {f"a{number}": "b" for number in range(count)}))
                assert_refused(client.answer(), "openai", 431)
                assert client.is_closed(), f"{count} headers: the connection stays open"
        assert not provider.calls
        with Client(gateway.port) as client:
            most = {f"a{number}": "b" for number in range(100 - POST_FIELDS)}
            assert client.ask(more(post(CHAT, chat(), gateway.key), most)).status == 200
            answer = client.ask(more(post(CHAT, chat(), gateway.key), dict.fromkeys(TWINS, "somebody-else")))
            assert answer.status == 200, f"answered {answer.status}"
            passed = [name for name in TWINS if name.lower() in provider.calls[-1].headers]
            for twin in ("X_Api_Key", "Authorization_"):
                assert_refused(client.ask(more(post(CHAT, chat()), {twin: gateway.key})), "openai", 401)
        decision = gateway.leaves("decision", answer.headers["x-jupiter-evidence-id"])[0]
        first = gateway.leaves("decision")[0]
        assert decision["principal"] == first["principal"], "the twins changed who the caller is"
        assert not passed, f"reached the provider: {', '.join(passed)}"


@row("IV-21", "100 MB pipelined behind a request in flight", defence="surplus_limit", short=True)
def pipelined(stage: Stage) -> None:
    with Provider(hang) as provider:
        gateway = stage.gateway(provider.port)
        meter = Meter(gateway.process.pid)
        with Client(gateway.port) as client:
            client.send(post(CHAT, chat(), gateway.key))
            assert wait_until(lambda: provider.calls), "the first request was not forwarded"
            meter.forget_peak()
            before, sent = meter.rss_mb(), 0
            try:
                while sent < 100_000_000:
                    client.send(PIECE)
                    sent += len(PIECE)
            except OSError:
                pass  # cut off while sending is what we want
            closed = client.is_closed()
            rise = meter.peak_mb() - before
        stage.note("MB taken", round(sent / 1e6, 1))  # the kernel's buffers included
        stage.note("MB of memory", round(rise, 1))
        assert sent < 100_000_000 and closed, f"{sent / 1e6:.0f} MB were taken"
        assert rise <= 4, f"memory rose by {rise:.1f} MB"
        assert wait_until(lambda: provider.calls[0].gone), "the call of the client that was cut off goes on"
        assert len(provider.calls) == 1


# -- not for whom it seems to be ----------------------------------------------------------------------------------------


def bare(text: bytes, *fields: bytes, to: bytes = HOST) -> bytes:
    """Return a request without a body."""
    return sized(*fields, line=text, host=to, body=b"")


PROXY = b"Proxy-Authorization: @PROXY-KEY@\r\n"
ELSEWHERE = b"POST http://evil.example/v1/chat/completions HTTP/1.1\r\n"

ODD: Mapping[str, tuple[bytes, set[int]]] = {
    "TRACE": (bare(b"TRACE /v1/models HTTP/1.1\r\n", b"Max-Forwards: 0\r\n"), set()),
    "TRACE with a body": (line(b"TRACE" + POST[4:]), set()),
    "TRACK": (bare(b"TRACK /v1/models HTTP/1.1\r\n"), set()),
    "a method nobody knows": (line(b"BREW" + POST[4:]), set()),
    "a method in small letters": (line(b"post" + POST[4:]), {501}),
    "PUT": (line(b"PUT" + POST[4:]), set()),
    "DELETE": (bare(b"DELETE /v1/models HTTP/1.1\r\n"), set()),
    "HEAD": (bare(b"HEAD /v1/models HTTP/1.1\r\n"), set()),
    "OPTIONS *": (bare(b"OPTIONS * HTTP/1.1\r\n"), set()),
    "POST *": (line(b"POST * HTTP/1.1\r\n"), set()),
    "GET *": (bare(b"GET * HTTP/1.1\r\n"), set()),
    "a path with two slashes": (line(POST.replace(b" /", b" //")), set()),
    "a path with dots": (line(POST.replace(b" /", b" /x/../")), set()),
    "an escaped path": (line(POST.replace(b"chat", b"%63hat")), set()),
    "a path with a parameter": (line(POST.replace(b" HTTP", b";x HTTP")), set()),
    "a path with a slash at the end": (line(POST.replace(b" HTTP", b"/ HTTP")), set()),
    "HTTP/1.0": (line(POST.replace(b"1.1", b"1.0")), set()),
    "HTTP/0.9": (b"GET /v1/models\r\n", set()),
    "HTTP/0.9 with a body": (POST[:-11] + b"\r\n" + BODY, set()),
    "absolute-form to another host": (sized(LENGTH, line=ELSEWHERE, host=b"Host: evil.example\r\n"), {407}),
    "absolute-form to another host, with a key": (sized(LENGTH, PROXY, line=ELSEWHERE, host=b"Host: evil.example\r\n"), {403}),
    "absolute-form to another host, host of ours": (sized(LENGTH, PROXY, line=ELSEWHERE), {403}),
    "absolute-form to metadata": (bare(b"GET http://169.254.169.254/ HTTP/1.1\r\n", PROXY), {403}),
    "absolute-form of another scheme": (bare(b"GET ftp://evil.example/ HTTP/1.1\r\n", PROXY), {403}),
    "absolute-form with a user": (bare(b"GET http://a:b@evil.example/ HTTP/1.1\r\n", PROXY), {403}),
    "CONNECT without a port": (bare(b"CONNECT api.openai.com HTTP/1.1\r\n", PROXY), set()),
    "CONNECT to a path": (bare(b"CONNECT /v1/models HTTP/1.1\r\n", PROXY), {403}),
    "CONNECT to another host": (bare(b"CONNECT evil.example:443 HTTP/1.1\r\n", PROXY), {403}),
    "an upgrade to HTTP/2": (sized(LENGTH, b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n"), {426}),
    "an upgrade to WebSocket": (bare(b"GET /v1/models HTTP/1.1\r\n", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), {426}),
}  # fmt: skip
"""Case -> the request, and statuses beside 400, 404 and 405 that DESIGN's table names for it."""


@row("IV-16", "methods and targets that are not for a gateway", defence="exact_paths")
def odd_requests(stage: Stage) -> None:
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        talks = converse_all(gateway, provider, (raw for raw, _ in ODD.values()))
    wrong = {}
    for (name, (_, also)), talk in zip(ODD.items(), talks, strict=True):
        # the second request may be served: how the first one is framed is never in doubt
        forwarded = talk.served - talk.statuses[1:].count(200)
        status = talk.statuses[0] if talk.statuses else 0
        if status not in {400, 404, 405} | also or forwarded or (b'{"error":' not in talk.raw and name != "HEAD"):
            wrong[name] = f"answered {status}, {forwarded} forwarded"
    stage.note("refused", f"{len(ODD) - len(wrong)}/{len(ODD)}")
    assert not wrong, f"{len(wrong)} of {len(ODD)} not refused: {wrong}"


CONFUSED = (
    b"localhost:4000/#@evil", b"localhost:4000#@evil", b"gateway@evil", b"gateway:80@evil", b"gateway/x", b"gateway?x",
    b"gateway\\x", b"gateway x", b"gateway, evil", b"gateway;evil", b"gateway%0d%0a", b"[::1", b"::1",
    b"gateway:99999", b"gateway:-1", b"gateway:http", b"http://gateway", b"\xe9vil",
)  # fmt: skip
FOREIGN = (
    b"evil.example",
    b"api.openai.com",
    b"api.anthropic.com:443",
    b"169.254.169.254",
    b"localhost:9090",
    b"[::1]:80",
)


@row("IV-17", "hosts that confuse, and hosts that are somebody else's", defence="host_syntax", short=True)
def confused_hosts(stage: Stage) -> None:
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        talks = converse_all(gateway, provider, map(host, CONFUSED))
        accepted = [
            name.decode("latin-1") for name, talk in zip(CONFUSED, talks, strict=True) if talk.complaints({400})
        ]
        with Client(gateway.port) as client:
            for name in FOREIGN:
                provider.reset_calls()
                answer = client.ask(_to(name, post(CHAT, chat(), gateway.key)))
                assert answer.status == 200, f"host `{name.decode()}`: answered {answer.status}"
                (call,) = provider.calls
                assert call.headers["host"] == f"127.0.0.1:{provider.port}", (
                    f"the provider was called {call.headers['host']}"
                )
                for raw in (post(CHAT, chat()), get("/v1/models")):
                    assert_refused(client.ask(_to(name, raw)), "openai", 401)
        assert len(provider.calls) == 1
    assert not accepted, f"not refused: {', '.join(accepted)}"


def _to(name: bytes, raw: bytes) -> bytes:
    return raw.replace(b"Host: gateway", b"Host: " + name)
