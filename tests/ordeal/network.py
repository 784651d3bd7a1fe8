"""A bad network on loopback: a TCP proxy that does what networks do, ports that refuse or swallow, and certificates.

    with FaultProxy(provider.port) as network:
        network.behave("cut_after", after=200, how="reset")

What it does may change while connections are open, and then holds for those too.  It knows bytes, no protocol.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import shutil
import socket
import ssl
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ordeal.provider import cut

type Mode = Literal["pass", "refuse", "swallow", "delay", "trickle", "cut_after", "half_close"]
INSIDE = {"PYTHONPATH": str(Path(__file__).parent / "inside")}
"""Makes a gateway run `inside/sitecustomize.py` as it starts (`Setup.environment`)."""


@dataclass(frozen=True)
class Behaviour:
    """What the network does now.  `after` counts the bytes from upstream on one connection."""

    mode: Mode = "pass"
    seconds: float = 0.0
    """delay: before each piece.  trickle: between pieces."""
    size: int = 1
    """trickle: bytes a piece."""
    after: int = 0
    """cut_after, half_close: from upstream, after so many bytes."""
    how: Literal["reset", "fin"] = "reset"
    """cut_after: which way the connection to the client ends."""


class FaultProxy:
    """A TCP proxy in front of a port, in a thread of its own.

    refuse: the port is closed, what is open goes on.  swallow: accepts, and from then on nothing passes in either
    direction and nothing is closed, as when a peer vanished without a FIN.  half_close: FIN to the client after so many
    bytes, while its bytes still go upstream.
    """

    def __init__(self, target: int) -> None:
        self.connections = 0
        self.from_upstream = 0
        """Bytes that came from upstream, passed on or not."""
        self._target = target
        self._behaviour = Behaviour()
        self._writers: set[asyncio.StreamWriter] = set()
        self._held = socket.socket()  # keeps the number ours while nobody listens
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.port: int = self._held.getsockname()[1]
        self._server: asyncio.Server | None = None

    @property
    def open(self) -> int:
        """How many client connections are open now."""
        return len(self._writers)

    def behave(
        self,
        mode: Mode,
        *,
        seconds: float = 0.0,
        size: int = 1,
        after: int = 0,
        how: Literal["reset", "fin"] = "reset",
    ) -> None:
        """Change what the network does."""
        self._behaviour = Behaviour(mode, seconds, size, after, how)
        self._call(self._listen() if mode != "refuse" else self._close())

    def cut(self) -> None:
        """Reset every open connection to clients."""

        async def all_of_them() -> None:
            for writer in list(self._writers):
                cut(writer.transport)  # type: ignore[arg-type] # a socket's is one that can write

        self._call(all_of_them())

    # -- connections ------------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            upstream, upwards = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            cut(writer.transport)  # type: ignore[arg-type] # as above
            self._writers.discard(writer)
            return
        tasks = [
            asyncio.ensure_future(self._up(reader, upwards)),
            asyncio.ensure_future(self._down(upstream, writer)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self._behaviour.mode == "swallow":
                await tasks[0]  # the provider's end is not passed on either
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writers.discard(writer)
            for one in (writer, upwards):
                one.close()

    async def _up(self, reader: asyncio.StreamReader, upwards: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self._behaviour.mode == "swallow":
                    continue
                if self._behaviour.mode == "delay":
                    await asyncio.sleep(self._behaviour.seconds)
                upwards.write(data)
                await upwards.drain()

    async def _down(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed, closed = 0, False
        with contextlib.suppress(ConnectionError):
            while data := await upstream.read(65536):
                self.from_upstream += len(data)
                now = self._behaviour
                if closed or now.mode == "swallow":
                    continue
                if now.mode == "delay":
                    await asyncio.sleep(now.seconds)
                if now.mode in ("cut_after", "half_close"):
                    data = data[: max(0, now.after - passed)]
                step = now.size if now.mode == "trickle" else len(data) or 1
                for start in range(0, len(data), step):
                    writer.write(data[start : start + step])
                    await writer.drain()
                    if now.mode == "trickle":
                        await asyncio.sleep(now.seconds)
                passed += len(data)
                if now.mode == "cut_after" and passed >= now.after:
                    await asyncio.sleep(0.02)  # or a RST overtakes what has just been written
                    if now.how == "reset":
                        cut(writer.transport)  # type: ignore[arg-type] # as above
                    return
                if now.mode == "half_close" and passed >= now.after:
                    writer.write_eof()
                    closed = True

    # -- its life ---------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)  # type: ignore[arg-type] # one of ours

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._held.close()

    async def _end(self) -> None:
        await self._close()
        for task in (tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else is given."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port whose SYNs are dropped: it listens, its queue is full and nobody accepts (Linux, net.ipv4.tcp_abort_on_overflow=0)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(16):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.3)
            try:
                filler.connect(address)
            except TimeoutError:
                yield address[1]
                return
        raise AssertionError("the listener's queue would not fill")


class Authority:
    """A certificate authority of the test's own; a gateway trusts it by `security: {upstream_ca_file: …}`."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="ordeal-ca-"))
        weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ordeal test authority")])
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = self._builder(self._name, self._key, 1).add_extension(x509.BasicConstraints(True, 0), True)
        self._certificate = builder.add_extension(usage, True).sign(self._key, hashes.SHA256())
        self.path = self._directory / "authority.pem"
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        start = now - datetime.timedelta(days=2)
        return builder.not_valid_before(start).not_valid_after(now + datetime.timedelta(days=days))

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return what a server needs to be one of `names` (default: `localhost` and 127.0.0.1)."""
        key = ec.generate_private_key(ec.SECP256R1())
        wanted = names or ("localhost", "127.0.0.1")
        common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted[0])])
        certificate = (
            self._builder(common, key, -1 if expired else 1)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in wanted]), False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False)
            .sign(self._key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.NamedTemporaryFile(dir=self._directory) as file:
            file.write(pem + certificate.public_bytes(serialization.Encoding.PEM))
            file.flush()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file.name)
        return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
