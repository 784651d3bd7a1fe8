"""A provider whose behaviour is a program: it does to the gateway whatever a row needs, and counts what it was asked.

    with Provider(script=stream(5, gap_s=0.1)) as provider:
        provider.script = reset
        provider.calls[-1].body

A script is `async def script(call, out)`; it may be replaced at any time and may also be written in the row.  Ready ones
are in `scripts` and can be imported from here.  It knows HTTP/1.1 here and HTTP/2 in `provider_h2`; nothing of the gateway.
"""

import asyncio
import contextlib
import itertools
import json
import socket
import ssl
import struct
import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from ordeal.scripts import by_text, ending, first_then, hang, pieces, reset, status, stream, whole

__all__ = [
    "Call",
    "Out",
    "Provider",
    "by_text",
    "ending",
    "first_then",
    "hang",
    "pieces",
    "reset",
    "status",
    "stream",
    "whole",
]

type Script = Callable[["Call", "Out"], Awaitable[None]]


@dataclass
class Call:
    """One request as it arrived, and what has been answered so far."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case; of a name that is there twice, the last value."""
    body: bytes
    number: int
    """1, 2, … over the provider's life, `reset_calls` or not."""
    connection: int
    """Which connection it came on: 1, 2, … over the provider's life."""
    sent: bytearray = field(default_factory=bytearray)
    """The bytes of the answer's body that have been handed to the connection."""
    gone: bool = False
    """The peer gave up before the script had returned."""
    done: bool = False
    """The script has returned."""

    def json(self) -> Any:
        return json.loads(self.body)


class Out(ABC):
    """What a script answers with.  Whatever is sent to a peer that is gone raises ConnectionError, which scripts may ignore."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.headed = self.ended = False

    @abstractmethod
    async def head(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Send a head; without a `content-length` the body is chunked, or framed by HTTP/2."""

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Send a piece of the body or, before any head, raw bytes.  Waits while the peer does not read."""

    @abstractmethod
    async def end(self) -> None:
        """End the body; done by itself when the script returns."""

    @abstractmethod
    def reset(self) -> None:
        """Cut the whole connection with a RST."""

    @abstractmethod
    def close(self) -> None:
        """Close the whole connection with a FIN, after what has been sent."""

    @abstractmethod
    async def gone(self) -> None:
        """Wait until the peer has hung up or cancelled the request."""

    async def answer(
        self, status: int, body: bytes | str | dict[str, Any] = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer; JSON unless `headers` name another type."""
        raw = json.dumps(body).encode() if isinstance(body, dict) else body.encode() if isinstance(body, str) else body
        await self.head(
            status, {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}
        )
        await self.send(raw)
        await self.end()

    async def event(self, text: str) -> None:
        """Send one event with `text` as its data, and the head of an event stream before the first."""
        await self.events(f"data: {text}\n\n".encode())

    async def events(self, raw: bytes) -> None:
        """Send bytes of an event stream as they are, and its head before the first."""
        if not self.headed:
            await self.head(200, {"content-type": "text/event-stream", "cache-control": "no-cache"})
        await self.send(raw)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Http1(asyncio.Protocol):
    """One HTTP/1.1 connection: requests one after the other, each answered by a task with the script of the moment."""

    def __init__(self, provider: "Provider") -> None:
        self.provider = provider
        self.transport: asyncio.Transport = None  # type: ignore[assignment] # set before anything else is called
        self.writable, self.gone = asyncio.Event(), asyncio.Event()
        self.writable.set()
        self._buffer = b""
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.number = self.provider.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self.writable.set()
        self.provider.lost(self)

    def eof_received(self) -> bool:
        self.gone.set()
        return False

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        if self._task is not None and not self._task.done():
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        total = end + 4 + int(headers.get("content-length", "0"))
        if len(self._buffer) < total:
            return
        method, path, _ = first.split(" ", 2)
        body, self._buffer = self._buffer[end + 4 : total], self._buffer[total:]
        call = self.provider.called(method, path, headers, body, self.number)
        self._task = self.provider.run(call, Http1Out(call, self))
        self._task.add_done_callback(lambda _task: self._next())


class Http1Out(Out):
    """An answer on an HTTP/1.1 connection."""

    def __init__(self, call: Call, connection: Http1) -> None:
        super().__init__(call)
        self._connection = connection
        self._chunked = False

    async def head(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        if "content-length" not in fields and "transfer-encoding" not in fields and status not in (204, 304):
            fields["transfer-encoding"] = "chunked"
        self._chunked = "transfer-encoding" in fields
        self.headed = status >= 200
        lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in fields.items())]
        await self._write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        self.call.sent += data
        await self._write(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked and data else data)

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are, whatever has been said of the framing."""
        await self._write(data)

    async def end(self) -> None:
        if not self.ended:
            self.ended = True
            if self._chunked:
                await self._write(b"0\r\n\r\n")

    async def _write(self, data: bytes) -> None:
        if self._connection.gone.is_set() or self._connection.transport.is_closing():
            raise ConnectionError("the peer is gone")
        self._connection.transport.write(data)
        await self._connection.writable.wait()

    def reset(self) -> None:
        self.ended = True
        cut(self._connection.transport)

    def close(self) -> None:
        self.ended = True
        self._connection.transport.close()

    async def gone(self) -> None:
        await self._connection.gone.wait()
        self.call.gone = True


class Provider:
    """The provider in a thread of its own: a context manager for programs without an event loop."""

    def __init__(
        self,
        script: Script | None = None,
        tls: ssl.SSLContext | None = None,
        http2: bool = False,
        port: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        """With `http2`, `tls` is needed and offers both protocols; `port` 0 is any free one."""
        self.script: Script = script or whole()
        self.calls: list[Call] = []
        self.connections = 0
        """How many connections have been opened so far."""
        self.faults: list[str] = []
        """Tracebacks of scripts that failed: a row's own mistakes."""
        self.port, self.host = port, host
        self._tls, self._http2 = tls, http2
        self._open: set[Any] = set()
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        if http2:
            assert tls is not None, "HTTP/2 is spoken in TLS only"
            tls.set_alpn_protocols(["h2", "http/1.1"])

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    @property
    def url(self) -> str:
        """A base URL; in TLS the name is `localhost`, for which test certificates are made."""
        return f"https://localhost:{self.port}/v1" if self._tls else f"http://{self.host}:{self.port}/v1"

    def reset_calls(self) -> None:
        """Forget the calls so far."""
        self.calls = []

    def drop_connections(self, *, rst: bool = False) -> None:
        """Close every open connection, as a load balancer or a restart does."""

        def drop() -> None:
            for connection in list(self._open):
                cut(connection.transport) if rst else connection.transport.close()

        self._loop.call_soon_threadsafe(drop)

    # -- what connections tell --------------------------------------------------------------------------------------------

    def opened(self, connection: Any) -> int:
        self._open.add(connection)
        self.connections += 1
        return self.connections

    def lost(self, connection: Any) -> None:
        self._open.discard(connection)

    def called(self, method: str, path: str, headers: dict[str, str], body: bytes, connection: int) -> Call:
        call = Call(method, path, headers, body, next(self._numbers), connection)
        self.calls.append(call)
        return call

    def run(self, call: Call, out: Out) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._run(call, out))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, call: Call, out: Out) -> None:
        try:
            await self.script(call, out)
            await out.end()
        except ConnectionError:
            call.gone = True
        except Exception:
            self.faults.append(traceback.format_exc())
            out.reset()
        call.done = True

    # -- its life ---------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="provider", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        make: Callable[[], asyncio.Protocol] = lambda: Http1(self)  # noqa: E731 - one of two
        if self._http2:
            from ordeal.provider_h2 import Either  # which is built on this module

            make = lambda: Either(self)  # noqa: E731 - the other
        self._server = await self._loop.create_server(make, self.host, self.port, ssl=self._tls, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for connection in list(self._open):
            connection.transport.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def cut(transport: asyncio.Transport) -> None:
    """Close a connection with a RST: what the kernel sends when nothing may linger (socket(7), SO_LINGER)."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
