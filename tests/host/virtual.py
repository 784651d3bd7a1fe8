"""An event loop whose time jumps to whatever is due next, and a network that does what a test says.

With it seconds cost nothing and nothing depends on how busy the machine is.  Nothing real may be waited for.
"""

import asyncio
import selectors
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any
from unittest import mock


class _Jumping(selectors.DefaultSelector):
    """Never waits: what is waited for is added to the time."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready, after having let the time pass."""
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never happens"
            self.now += max(0.0, timeout)
        return ready


class StubTransport(asyncio.Transport):
    """A connection that only notes what is done to it."""

    def __init__(self, protocol: asyncio.BaseProtocol | None = None) -> None:
        super().__init__()
        self.protocol = protocol
        self.written: list[bytes] = []
        self.reading, self.closing, self.aborted, self.eof = True, False, False, False
        self.unsent = 0
        """Bytes that the peer has not taken yet."""

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, data: bytes) -> None:  # type: ignore[override]
        assert not self.closing
        self.written.append(data)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self.eof = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        """Close; with nothing unsent the protocol hears of it in the loop's next round, as in asyncio."""
        if not self.closing:
            self.closing = True
            if not self.unsent:
                self._lost()

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = self.closing = True
            self._lost()

    def _lost(self) -> None:
        if self.protocol is not None:
            protocol, self.protocol = self.protocol, None
            asyncio.get_running_loop().call_soon(protocol.connection_lost, None)


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self.names: dict[str, list[str]] = {}
        self.routes: dict[str, tuple[float, str | None]] = {}
        """Address -> after how many seconds a connection stands, or with what error it fails."""
        self.rounds: dict[str, int] = {}
        """Address -> for how many rounds of the loop its connection is being made then."""
        self.tried: list[tuple[str, float]] = []
        """Every address that was connected to, with the seconds since the start."""
        self.transports: dict[str, StubTransport] = {}
        self.faults: list[dict[str, Any]] = []
        """What nobody has caught."""
        self.set_exception_handler(lambda _loop, context: self.faults.append(context))

    def time(self) -> float:
        """Return the time as it is here."""
        return self._jumping.now

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> Any:  # type: ignore[override]
        """Resolve a name that the test knows."""
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in self.names[host]]

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:  # type: ignore[override]
        """Connect as the test says this address behaves."""
        self.tried.append((host, self.time() - 1000.0))
        delay_s, error = self.routes[host]
        await asyncio.sleep(delay_s)
        if error is not None:
            raise OSError(error)
        for _ in range(self.rounds.get(host, 0)):
            await asyncio.sleep(0)
        protocol = factory()
        transport = self.transports[host] = StubTransport(protocol)
        self.call_soon(protocol.connection_made, transport)
        try:
            await asyncio.sleep(0)
        except BaseException:  # as asyncio: given up between standing and being handed over
            transport.close()
            raise
        return transport, protocol


def run[T](main: Callable[[VirtualLoop], Coroutine[Any, Any, T]], *, eager: bool = False) -> T:
    """Run `main` with a virtual loop; `time.monotonic` is the loop's meanwhile."""
    loop = VirtualLoop()
    if eager:
        loop.set_task_factory(asyncio.eager_task_factory)
    with asyncio.Runner(loop_factory=lambda: loop) as runner, mock.patch.object(time, "monotonic", loop.time):
        found = runner.run(main(loop))
    assert loop.faults == []
    return found
