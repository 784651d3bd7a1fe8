"""TL: certificates that are not what they should be, and handshakes that are never finished or never make sense."""

import contextlib
import datetime
import re
import socket
import ssl
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.gateway import Gateway, Setup
from support.wire import Client, chat, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread
from ordeal.calls import assert_refused
from ordeal.crowd import Bystander, Crowd, need_files
from ordeal.load import Meter
from ordeal.network import Authority
from ordeal.provider import Provider
from ordeal.stage import Stage
from ordeal.suite import row

CHAT = "/v1/chat/completions"
HOST = "api.openai.com"
_CRASH = re.compile(r"Traceback|has crashed|Addon error|layers of a connection failed")


# -- providers whose certificate is not good ------------------------------------------------------------------------------


def self_signed() -> ssl.SSLContext:
    """Return a server that is `localhost` by its own word."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    certificate = builder.add_extension(names, False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    raw = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw + certificate.public_bytes(pem))
        file.flush()
        context.load_cert_chain(file.name)
    return context


def only_tls_1_0(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a server or a client speak nothing newer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def speaks_tls_1_0(port: int) -> bool:
    """Whether a client that takes anything can talk to a server that speaks nothing else; else the row would prove nothing."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as raw, only_tls_1_0(context).wrap_socket(raw) as tls:
        return tls.version() == "TLSv1"


def configured(provider: Provider, name: str) -> dict[str, object]:
    """Return a provider of one model, so that nobody else can be asked in its place."""
    base = {"type": "openai-compatible", "api_key": f"key-of-{name}", "models": [f"m-{name}"]}
    return {**base, "base_url": f"https://localhost:{provider.port}/v1"}


@row("TL-03", "providers with a bad certificate or old TLS", defence="upstream_verification")
def bad_certificates(stage: Stage) -> None:
    authority, stranger = Authority(), Authority()
    contexts: Mapping[str, Callable[[], ssl.SSLContext]] = {
        "good": authority.server,
        "expired": lambda: authority.server(expired=True),
        "wrong-host": lambda: authority.server("provider.example", "127.0.0.1"),
        "wrong-wildcard": lambda: authority.server("*.example"),
        "unknown-authority": stranger.server,
        "self-signed": self_signed,
        "old-tls": lambda: only_tls_1_0(authority.server()),
    }
    with contextlib.ExitStack() as stack:
        providers = {name: stack.enter_context(Provider(tls=make())) for name, make in contexts.items()}
        assert speaks_tls_1_0(providers["old-tls"].port)
        free = {f"m-{name}": {"input": 0, "output": 0} for name in providers}
        gateway = stack.enter_context(
            stage.own_gateway(
                providers["good"].port,
                providers={name: configured(provider, name) for name, provider in providers.items()},
                intercept={"hosts": {HOST: "expired"}},
                processing={"costs": {"overrides": free}},
                security={"upstream_ca_file": str(authority.path)},
            )
        )
        known = {name: provider.connections for name, provider in providers.items()}
        with Client(gateway.port) as client:
            for name in providers:
                answer = client.ask(post(CHAT, chat(model=f"m-{name}"), gateway.key))
                if name == "good":
                    assert answer.status == 200, f"a good certificate is refused: {answer.body!r}"
                else:
                    assert_refused(answer, "openai", 502, 503)
        with gateway.connect(HOST) as client:
            assert_refused(client.ask(post(CHAT, chat(model="m-expired"), "own")), "openai", 502, 503)
        for name, provider in providers.items():
            if name != "good":
                assert not provider.calls, f"`{name}` has seen the key"
                # a handshake that is not finished carries no data of the client (RFC 8446, section 4.4.4)
                assert provider.connections == known[name], f"a handshake with `{name}` was finished"


# -- clients that do not finish ---------------------------------------------------------------------------------------


def client_hello(host: str | None = HOST, alpn: tuple[str, ...] = ("http/1.1",)) -> bytes:
    """Return the first record of a handshake."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=host).do_handshake()
    return out.read()


def connect_request(gateway: Gateway, host: str = HOST) -> bytes:
    known = f"Proxy-Authorization: {gateway.proxy_authorization()}\r\n"
    return f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n{known}\r\n".encode()


HALF = 500
DEADLINE_S = 3.0


@row("TL-04", "500 handshakes that stop half way", defence="header_deadline")
def half_handshakes(stage: Stage) -> None:
    need_files(HALF * 2 + 512)
    hello = client_hello()
    with RehearsalThread(api_key="provider-key") as provider:
        gateway = stage.gateway(provider.port, proxy={"limits": {"header_timeout": f"{DEADLINE_S}s"}})
        meter = Meter(gateway.process.pid)
        bystander = Bystander(gateway.port, post(CHAT, chat(), gateway.key))
        bystander()
        files = meter.open_files()
        with Crowd.of(gateway.port, HALF) as tunnels, Crowd.of(gateway.port, 50) as direct:
            tunnels.send(connect_request(gateway))
            assert wait_until(lambda: tunnels.read() or all(m.status == 200 for m in tunnels.members), 20)
            half = len(hello) // 2
            for number, member in enumerate([*tunnels.members, *direct.members]):
                match number % 4:
                    case 0:
                        member.send(hello[:half])  # a hello without its end
                    case 1:
                        member.send(hello)  # a hello, and then nothing: the gateway has sent its certificate
                    case 2:
                        member.send(hello[:3])  # not even a record's head
            dripping = tunnels.members[3::4]  # the rest sends its hello a byte at a time
            began, at = time.monotonic(), 0
            while (tunnels.alive or direct.alive) and time.monotonic() - began < 10 * DEADLINE_S:
                for member in dripping:
                    member.send(hello[at : at + 1] or b"\0")
                at += 1
                tunnels.read()
                direct.read()
                bystander()
                time.sleep(0.2)
            left = tunnels.alive + direct.alive
            lasted = max((m.lasted_s or 0.0 for m in [*tunnels.members, *direct.members]), default=0.0)
        stage.note("longest, s", round(lasted, 1))
        stage.note("others' worst, ms", bystander.worst_ms)
        bystander.close()
        assert not left, f"{left} handshakes are still open after {10 * DEADLINE_S:.0f} s"
        assert lasted < 5 * DEADLINE_S, (
            f"one lasted {lasted:.1f} s"
        )  # each by its own deadline, the crowd's making included
        assert bystander.worst_ms < 1000, f"another client waited {bystander.worst_ms:.0f} ms"
        assert wait_until(lambda: meter.open_files() <= files + 2), "sockets are left"
        assert provider.journal.seen == len(bystander.seconds)


# -- clients that make no sense ---------------------------------------------------------------------------------------


def junk_hellos() -> dict[str, bytes]:
    """Return first bytes in a tunnel that no handshake can go on from."""
    hello = client_hello()
    longest = b"\x16\x03\x01\x40\x00"
    return {
        "zeros": b"\0" * 512,
        "noise": bytes((number * 7919 + 13) % 256 for number in range(2048)),
        "a record of the wrong type": b"\x17" + hello[1:],
        "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
        "a record of no bytes": b"\x16\x03\x01\x00\x00" * 100,
        "a record that is too long": b"\x16\x03\x01\xff\xff" + b"\1" * 70_000,
        "a hello of junk": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + b"\xaa" * 508,
        "a hello that says it has 16 MB": longest + b"\x01\xff\xff\xff" + (b"\0" * 16380 + longest) * 20,
        "a hello with a length inside that is too large": hello[:43] + b"\xff" + hello[44:],
        "a hello whose extensions are cut": hello[:3] + b"\x00\x60\x01\x00\x00\x5c" + hello[9:101],
        "a server's hello": hello[:5] + b"\x02" + hello[6:],
        "SSL 2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x05" * 40,
        "SSL 3": hello[:1] + b"\x03\x00" + hello[3:9] + b"\x03\x00" + hello[11:].replace(b"\x03\x04\x03\x03", b"\x03\x00\x03\x00"),
        "a certificate of junk": b"\x16\x03\x03\x00\x10\x0b\x00\x00\x0c\x00\x00\x09\x00\x00\x06\x30\x82\xff\xff\xff\xff",
        "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
        "an odd protocol": client_hello(alpn=("ordeal/1",)),
        "many odd protocols": client_hello(alpn=tuple(f"ordeal/{number}" for number in range(1000))),
    }  # fmt: skip


def odd_names() -> dict[str, bytes]:
    """Return hellos whose server name no certificate can be made for, by changing one of the same length."""
    plain = "x" * 32 + ".example"
    hello = client_hello(plain)
    texts = {
        "NUL": b"api.openai.com\0.evil",
        "a path": b"../../../../tmp/evil",
        "a space and a line break": b"api.openai.com \r\n",
        "bytes above 127": b"\xff\xfe\xe9" * 8,
        "dots": b"." * 40,
        "a wildcard": b"*.*.*.*",
        "an address": b"127.0.0.1",
        "a label of 40 bytes": b"a" * 40,
    }
    return {
        f"name: {name}": hello.replace(plain.encode(), text.ljust(len(plain), text[-1:])[:40])
        for name, text in texts.items()
    }


def first_words(gateway: Gateway, raw: bytes) -> tuple[bytes, bool]:
    """Send bytes in a tunnel; return what comes back, and whether the connection was ended."""
    with gateway.connect(HOST, tls=False) as client:
        data = b""
        client.socket.settimeout(4 * DEADLINE_S)
        try:
            client.send(raw)
            while piece := client.socket.recv(65536):
                data += piece
        except TimeoutError:
            return data, False
        except ConnectionError:
            pass
        return data, True


@row("TL-05", "handshakes without a name, for somebody else, of no protocol, or of junk", defence="sni_check")
def senseless_handshakes(stage: Stage) -> None:
    with RehearsalThread(api_key="provider-key") as provider:
        limits = {"header_timeout": f"{DEADLINE_S}s"}
        with stage.own_gateway(provider.port, proxy={"limits": limits}, setup=Setup()) as gateway:
            wrong = _spoken(gateway) | _senseless(gateway)
            assert provider.journal.seen == 0
            with gateway.connect(HOST) as client:
                assert client.ask(post(CHAT, chat(), "own")).status == 200, "a good handshake fails now"
            crash = _CRASH.search(gateway.log)
            written = list(Path(gateway.directory).rglob("*evil*"))
    assert not written, f"a file was made: {written}"
    assert not wrong, f"{len(wrong)}: {wrong}"
    assert crash is None, f"the log has `{crash and crash.group()}`"


def _senseless(gateway: Gateway) -> dict[str, str]:
    """Return which handshakes of no sense are not ended by an alert or by closing."""
    wrong, cases = {}, {**junk_hellos(), **odd_names()}
    with ThreadPoolExecutor(8) as pool:  # most of the time is spent waiting for deadlines
        found = list(pool.map(lambda raw: first_words(gateway, raw), cases.values()))
    for name, (data, closed) in zip(cases, found, strict=True):
        if not closed:
            wrong[name] = "stays open"
        elif data[:1] == b"\x16" and not name.startswith("name: "):  # a name may be ignored: it is looked at later
            wrong[name] = "goes on"
        elif data[:1] not in (b"", b"\x15", b"\x16", b"H"):
            wrong[name] = f"says {data[:20]!r}"
    return wrong


def _spoken(gateway: Gateway) -> dict[str, str]:
    """Return which requests in a handshake without a name, or with another than the tunnel's, were not refused."""
    wrong = {}
    for sni in (None, "evil.example", "api.anthropic.com", "openai.com", "x.api.openai.com"):
        context = ssl.create_default_context(cafile=gateway.authority)
        context.check_hostname = False
        with gateway.connect(HOST, tls=False) as client, contextlib.suppress(ssl.SSLError, ConnectionError):
            client.socket = context.wrap_socket(client.socket, server_hostname=sni)
            answer = client.ask(post(CHAT, chat(), "own"))
            if answer.status != 403 or answer.code != "sni_mismatch":
                wrong[f"server name {sni}"] = f"answered {answer.status}"
    return wrong
