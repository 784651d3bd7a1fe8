"""Many raw connections at once, driven by hand: clients that trickle, idle or never read.

A crowd is a list of sockets that do not block.  It knows which of them the gateway has cut, and when.
"""

import contextlib
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from support.h2_client import H2Client, Stream
from support.wire import Client

from ordeal.suite import Skipped

_BUSY = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(eq=False)
class Member:
    """One connection of a crowd."""

    socket: socket.socket
    began_s: float = field(default_factory=time.monotonic)
    got: bytearray = field(default_factory=bytearray)
    """What the gateway has said, as far as it was read."""
    lasted_s: float | None = None
    """How long it was until the gateway ended it."""

    @property
    def status(self) -> int:
        """Of the answer that has come; 0 if none has."""
        return int(self.got[9:12]) if self.got.startswith(b"HTTP/1.1 ") and len(self.got) > 12 else 0

    def send(self, data: bytes) -> None:
        if self.lasted_s is None:
            try:
                self.socket.send(data)
            except _BUSY:
                pass
            except OSError:
                self._ended()

    def read(self) -> None:
        """Take what is there."""
        while self.lasted_s is None:
            try:
                data = self.socket.recv(65536)
            except _BUSY:
                return
            except OSError:
                data = b""
            self.got += data
            if not data:
                self._ended()

    def _ended(self) -> None:
        self.lasted_s = time.monotonic() - self.began_s


class Crowd:
    """Some connections; a context manager that closes them."""

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self.members: list[Member] = []
        self.add(sockets)

    @classmethod
    def of(cls, port: int, count: int, source: str = "127.0.0.1") -> Self:
        """Open `count` connections from an address of this machine."""
        need_files(count + 256)
        return cls(
            socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) for _ in range(count)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for member in self.members:
            with contextlib.suppress(OSError):
                member.socket.close()

    def add(self, sockets: Iterable[socket.socket]) -> None:
        for one in sockets:
            one.setblocking(False)
            self.members.append(Member(one))

    def send(self, data: bytes) -> None:
        for member in self.members:
            member.send(data)

    def read(self) -> None:
        for member in self.members:
            member.read()

    @property
    def alive(self) -> int:
        """How many the gateway had not ended when they were last read or sent to."""
        return sum(member.lasted_s is None for member in self.members)

    def trickle(self, data: bytes, every_s: float, for_s: float, meanwhile: Callable[[], Any] = lambda: None) -> None:
        """Send `data` on each connection every so often until all are ended, or for so long."""
        end, due = time.monotonic() + for_s, time.monotonic()
        while self.alive and time.monotonic() < end:
            if time.monotonic() >= due:
                self.send(data)
                due += every_s
            self.read()
            meanwhile()
            time.sleep(0.02)


class SlowStream:
    """One HTTP/2 request whose body comes in pieces."""

    def __init__(self, client: H2Client, path: str) -> None:
        self._client = client
        self._stream = Stream(client.h2.get_next_available_stream_id())
        client.streams[self._stream.id] = self._stream
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", "api.openai.com"), (":path", path)]
        client.h2.send_headers(self._stream.id, fields)

    @property
    def status(self) -> int:
        """Of the answer; 0 if there is none."""
        return self._stream.status

    @property
    def over(self) -> bool:
        """Whether it was answered or cut."""
        return self._client.closed or self._stream.status != 0 or self._stream.reset is not None

    def more(self, data: bytes, for_s: float) -> None:
        """Send a piece, then read for a while."""
        if self.over:
            time.sleep(for_s)
            return
        with contextlib.suppress(TimeoutError, OSError):
            self._client.h2.send_data(self._stream.id, data)
            self._client.socket.sendall(self._client.h2.data_to_send())
            self._client.read_until(lambda: self.over, for_s)


class Bystander:
    """A client that behaves, on one connection, and how long its answers take while others do not."""

    def __init__(self, port: int, request: bytes, expect: int = 200) -> None:
        self._client = Client(port)
        self._request, self._expect = request, expect
        self.seconds: list[float] = []

    def __call__(self) -> None:
        """Ask once.  Raises ConnectionError or TimeoutError if there is no answer."""
        began = time.monotonic()
        answer = self._client.ask(self._request)
        self.seconds.append(time.monotonic() - began)
        assert answer.status == self._expect, f"a client that behaves was answered {answer.status}: {answer.body!r}"

    @contextlib.contextmanager
    def meanwhile(self, every_s: float = 0.01) -> Iterator[None]:
        """Ask again and again, in a thread of its own; what went wrong there is raised at the end."""
        stop, faults = threading.Event(), []

        def ask() -> None:
            try:
                self()
                while not stop.wait(every_s):
                    self()
            except Exception as fault:
                faults.append(fault)

        thread = threading.Thread(target=ask, name="bystander")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(30)
            self.close()
        if faults:
            raise faults[0]

    @property
    def worst_ms(self) -> float:
        return round(max(self.seconds, default=0.0) * 1000, 1)

    def close(self) -> None:
        self._client.socket.close()


def need_files(count: int) -> None:
    """Let this process, and what it starts from now on, have so many files open.  Raises Skipped if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
    except (ValueError, OSError) as error:
        raise Skipped(f"{count} open files are not allowed here (hard limit {hard})") from error
