"""IV: compressed request bodies: what they become, and what no two decoders agree on.

A body is decided on as it reads when it is decoded, within bounds, and forwarded as it was received; so a coding that the
provider's decoder could read differently must not pass (RFC 9110, section 8.4; RFC 1952; RFC 7932; RFC 8878).
"""

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping

import brotli
import zstandard
from support.gateway import Gateway, Setup
from support.wire import Answer, Client, chat, get, post

from ordeal.calls import assert_refused
from ordeal.crowd import Bystander
from ordeal.load import Meter
from ordeal.provider import Provider
from ordeal.rows_iv import CHAT, LIMIT_MB
from ordeal.stage import Stage
from ordeal.suite import row

BOMB_MB = 300
STALL_MS = 50.0
PLAIN = json.dumps(chat("hello")).encode()

POLICY = """
mpl_version: "1.0"
name: words
rules:
  - name: not-those-words
    conditions: [{field: request.text, operator: contains, value: forbidden}]
    actions: [{type: deny, message: not those words}]
"""


def zstd(plain: bytes, **how: bool) -> bytes:
    return zstandard.ZstdCompressor(**how).compress(plain)


CODERS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "br": brotli.compress, "zstd": zstd}
GZIP, BR, ZSTD = (coder(PLAIN) for coder in CODERS.values())


def ask(gateway: Gateway, body: bytes, *encodings: str) -> Answer:
    """Send a body with these content-encoding lines."""
    raw = post(CHAT, body, gateway.key)
    lines = "".join(f"Content-Encoding: {encoding}\r\n" for encoding in encodings).encode()
    with Client(gateway.port) as client:
        return client.ask(raw.replace(b"\r\n", b"\r\n" + lines, 1))


def bomb(encoding: str) -> bytes:
    """Return a compressed call whose text is 300 MiB of spaces."""
    match encoding:
        case "gzip":
            deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
            compress, finish = deflate.compress, deflate.flush
        case "br":
            broad = brotli.Compressor(quality=3)
            compress, finish = broad.process, broad.finish
        case _:
            standard = zstandard.ZstdCompressor().compressobj()
            compress, finish = standard.compress, standard.flush
    return b"".join(map(compress, _large())) + finish()


def _large() -> Iterator[bytes]:
    before, after = json.dumps(chat("@")).encode().split(b"@")
    yield before
    for _ in range(BOMB_MB):
        yield b" " * 1024**2
    yield after


class Watch:
    """Another client's questions while something is done, and the longest that one of them took."""

    def __init__(self, gateway: Gateway) -> None:
        self._bystander = Bystander(gateway.port, get("/health"))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.is_set():
            self._bystander()

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)
        self._bystander.close()

    @property
    def worst_ms(self) -> float:
        return self._bystander.worst_ms


def stall(gateway: Gateway, refused: Callable[[], Answer]) -> float:
    """Return how long a request that is answered 413 keeps others waiting, in ms.

    The least of some tries: a stall of ours is there each time, one of this machine's is not.  Where the machine is too
    busy for that, the CPU that the whole process spends on one is as good: no more than that can have been a stall.
    """
    waited = []
    for _ in range(5):
        with Watch(gateway) as watch:
            assert_refused(refused(), "openai", 413)
        waited.append(watch.worst_ms)
        if watch.worst_ms < STALL_MS:
            return watch.worst_ms
    for _ in range(5):
        began = time.clock_gettime(_clock_of(gateway))
        assert_refused(refused(), "openai", 413)
        waited.append(round((time.clock_gettime(_clock_of(gateway)) - began) * 1000, 1))
    return min(waited)


def _clock_of(gateway: Gateway) -> int:
    return ~gateway.process.pid << 3 | 2  # the CPU clock of another process: clock_getcpuclockid(3)


@row("IV-07", "gzip, brotli and zstd that become 300 MiB", defence="decoding_bounds")
def bombs(stage: Stage) -> None:
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        meter = Meter(gateway.process.pid)
        assert ask(gateway, PLAIN).status == 200
        for encoding in CODERS:
            body = bomb(encoding)
            assert len(body) < 1_000_000
            meter.forget_peak()
            before = meter.rss_mb()
            stalled_ms = stall(gateway, lambda body=body, encoding=encoding: ask(gateway, body, encoding))
            rise = meter.peak_mb() - before
            stage.note(f"{encoding}: ms others waited", stalled_ms)
            stage.note(f"{encoding}: MB", round(rise, 1))
            assert rise <= 4 * LIMIT_MB, f"{encoding}: memory rose by {rise:.0f} MB"
            assert stalled_ms < STALL_MS, f"{encoding}: others waited {stalled_ms} ms"
        assert len(provider.calls) == 1


UNKNOWN: tuple[tuple[str, ...], ...] = (
    ("bogus",), ("x-gzip",), ("compress",), ("deflate",), ("gzip2",), ("gzip;q=1",), ("*",), ("gzip, gzip",), ("gzip", "gzip"),
    ("gzip, identity",), ("identity, gzip",), ("gzip,",), (", gzip",), ("gzip br",), ("gzip", "br"), ("br, gzip",), ("aws-chunked",),
    ("gz\u0130p",), ('"gzip"',), ("chunked",),
)  # fmt: skip


@row("IV-08", "content encodings that are unknown, or more than one", defence="encoding_names")
def unknown_encodings(stage: Stage) -> None:
    refuse_each(stage, UNKNOWN)


CODECS = (
    "base64", "base64_codec", "zip", "zlib", "bz2", "bz2_codec", "hex", "hex_codec", "rot13", "rot_13", "quopri", "uu", "utf-8",
    "utf-7", "utf-16", "utf-8-sig", "ascii", "latin-1", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined",
    "charmap", "cp037", "mbcs", "zstandard", "brotli",
)  # fmt: skip
"""What Python would decode a body by, and nobody else: mitmproxy does, if asked for it."""


@row("IV-09", "Python's codecs as content encodings", defence="encoding_names")
def codec_names(stage: Stage) -> None:
    refuse_each(stage, tuple((name,) for name in CODECS))


def refuse_each(stage: Stage, encodings: tuple[tuple[str, ...], ...]) -> None:
    """Check that each is answered 415 whatever the body is, and that nobody is asked."""
    with Provider() as provider:
        gateway = stage.gateway(provider.port)
        wrong = {}
        for names in encodings:
            for body in (PLAIN, GZIP):
                answer = ask(gateway, body, *(name.encode().decode("latin-1") for name in names))
                if answer.status != 415 or "error" not in answer.json():
                    wrong[" + ".join(names)] = answer.status
        stage.note("refused", f"{len(encodings) - len(wrong)}/{len(encodings)}")
        assert not wrong, f"not refused: {wrong}"
        assert not provider.calls


def _changed(raw: bytes, at: int) -> bytes:
    at %= len(raw)
    return raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :]


BROKEN: Mapping[str, tuple[str, bytes]] = {
    "gzip of two members": ("gzip", GZIP + GZIP),
    "gzip whose text is in two members": ("gzip", gzip.compress(PLAIN[:20]) + gzip.compress(PLAIN[20:])),
    "gzip and an empty member": ("gzip", GZIP + gzip.compress(b"")),
    "gzip and junk": ("gzip", GZIP + b"junk"),
    "gzip and zeros": ("gzip", GZIP + b"\0" * 8),
    "gzip and a line": ("gzip", GZIP + b"\r\n"),
    "half of gzip": ("gzip", GZIP[: len(GZIP) // 2]),
    "gzip without its trailer": ("gzip", GZIP[:-8]),
    "gzip without its last byte": ("gzip", GZIP[:-1]),
    "gzip with another checksum": ("gzip", _changed(GZIP, -8)),
    "gzip with another length": ("gzip", _changed(GZIP, -1)),
    "the head of gzip": ("gzip", GZIP[:10]),
    "nothing as gzip": ("gzip", b""),
    "zlib as gzip": ("gzip", zlib.compress(PLAIN)),
    "bare deflate as gzip": ("gzip", zlib.compress(PLAIN, wbits=-15)),
    "plain text as gzip": ("gzip", PLAIN),
    "gzip of what is no JSON": ("gzip", gzip.compress(PLAIN[:-1])),
    "gzip of gzip": ("gzip", gzip.compress(GZIP)),
    "brotli and junk": ("br", BR + b"junk"),
    "brotli twice": ("br", BR + BR),
    "half of brotli": ("br", BR[: len(BR) // 2]),
    "brotli without its last byte": ("br", BR[:-1]),
    "nothing as brotli": ("br", b""),
    "plain text as brotli": ("br", PLAIN),
    "zstd and junk": ("zstd", ZSTD + b"junk"),
    "zstd of two frames": ("zstd", ZSTD + ZSTD),
    "zstd after a frame to skip": ("zstd", b"\x50\x2a\x4d\x18\x04\0\0\0skip" + ZSTD),
    "zstd before a frame to skip": ("zstd", ZSTD + b"\x50\x2a\x4d\x18\x04\0\0\0skip"),
    "half of zstd": ("zstd", ZSTD[: len(ZSTD) // 2]),
    "zstd without its last byte": ("zstd", ZSTD[:-1]),
    "zstd with another checksum": ("zstd", _changed(zstd(PLAIN, write_checksum=True), -1)),
    "nothing as zstd": ("zstd", b""),
    "plain text as zstd": ("zstd", PLAIN),
}  # fmt: skip


@row("IV-10", "compressed bodies of more than one part, cut short, or with something behind", defence="whole_encodings")
def broken_encodings(stage: Stage) -> None:
    with (
        Provider() as provider,
        stage.own_gateway(provider.port, setup=Setup(policies={"words.yaml": POLICY})) as gateway,
    ):
        wrong = {}
        for name, (encoding, body) in BROKEN.items():
            answer = ask(gateway, body, encoding)
            if answer.status != 400 or "error" not in answer.json():
                wrong[name] = answer.status
        stage.note("refused", f"{len(BROKEN) - len(wrong)}/{len(BROKEN)}")
        assert not provider.calls, f"forwarded: {len(provider.calls)}"
        for encoding, coder in CODERS.items():
            body = coder(PLAIN)
            answer = ask(gateway, body, encoding.upper())
            assert answer.status == 200, f"a good body in {encoding} is answered {answer.status}: {answer.body[:100]!r}"
            call = provider.calls[-1]
            assert (call.body, call.headers.get("content-encoding", "").lower()) == (body, encoding), (
                "forwarded otherwise"
            )
            denied = ask(gateway, coder(json.dumps(chat("something forbidden")).encode()), encoding)
            assert (denied.status, denied.code) == (403, "policy_denied"), f"{encoding} hides words from the policy"
        assert len(provider.calls) == len(CODERS)
        stage.check_permitted(gateway, [call.body for call in provider.calls])
    assert not wrong, f"not refused: {wrong}"
