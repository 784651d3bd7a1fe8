"""Several processes on one port: started, watched, replaced, and ended together.

The kernel spreads connections over the processes that listen with SO_REUSEPORT.  Each worker is `jupiter run` again, executed
anew rather than forked, with its own event loop, evidence log and pool.  The supervisor serves nothing but the admin port;
it asks each worker over a socket in a directory that only this user can enter.

A worker that ends while it should run is replaced, after a pause that doubles up to a bound: a fault that kills every
worker at once must not keep the machine busy starting them.  A worker whose supervisor is gone ends by itself.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
STEADY_S = 30.0
"""A worker that has run for so long has started well: the next pause is short again."""
SCRAPE_S = 5.0
"""How often the workers' counters are looked at, so that little is lost when one ends."""
GRACE_S = 15.0
"""How long a worker may take beyond the shutdown timeout before it is killed."""


@dataclass(slots=True, eq=False)
class Worker:
    """One process and how it has fared."""

    number: int
    socket: Path
    process: asyncio.subprocess.Process | None = None
    started: float = 0.0
    pause_s: float = FIRST_PAUSE_S

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.returncode is None


@dataclass(slots=True, eq=False)
class Supervisor:
    """Keeps `count` workers running until it is told to stop."""

    command: Sequence[str]
    """What starts a worker, but for its number, its socket and its lifeline."""
    count: int
    directory: Path
    """Where the sockets are; nobody else's."""
    shutdown_timeout_s: float
    ended: Callable[[int], None]
    """Told the number of a worker that has ended while it should run."""
    restarts: int = 0
    has_started: bool = False
    """Whether all of them have served at once; until then a client may meet one that does not yet."""
    workers: list[Worker] = field(default_factory=list)
    _signals: int = 0
    _lifeline: tuple[int, int] = (-1, -1)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_whole(self) -> bool:
        """Whether every worker runs."""
        return all(worker.is_alive for worker in self.workers)

    async def start(self) -> int:
        """Start every worker and wait until all serve; return 0, or the exit code of one that could not start."""
        self._lifeline = os.pipe()
        self.workers = [Worker(number, self.directory / f"{number}.sock") for number in range(self.count)]
        for worker in self.workers:
            await self._spawn(worker)
        for worker in self.workers:
            while not await is_ready(worker.socket):
                failed = next((w for w in self.workers if not w.is_alive), None)
                if failed is not None or self._stop.is_set():
                    await self.end()
                    return failed.process.returncode or 1 if failed is not None and failed.process is not None else 0
                await asyncio.sleep(0.05)
        self.has_started = True
        return 0

    async def _spawn(self, worker: Worker) -> None:
        worker.socket.unlink(missing_ok=True)
        worker.started = time.monotonic()
        worker.process = await asyncio.create_subprocess_exec(
            *self.command,
            *("--worker", str(worker.number), "--admin-socket", str(worker.socket)),
            *("--lifeline", str(self._lifeline[0])),
            pass_fds=(self._lifeline[0],),
            start_new_session=True,  # Ctrl-C in a terminal goes to the supervisor alone, which passes it on once
        )

    async def run(self) -> int:
        """Watch over the workers until the stop; return the exit code."""
        watches = [asyncio.ensure_future(self._watch(worker)) for worker in self.workers]
        await self._stop.wait()
        for watch in watches:
            watch.cancel()
        return await self.end()

    async def _watch(self, worker: Worker) -> None:
        while True:
            assert worker.process is not None
            code = await worker.process.wait()
            if self._stop.is_set():
                return
            self.restarts += 1
            self.ended(worker.number)
            steady = time.monotonic() - worker.started > STEADY_S
            worker.pause_s = FIRST_PAUSE_S if steady else min(worker.pause_s * 2, LONGEST_PAUSE_S)
            logger.error(
                "worker %d has ended with %d; the next one starts in %.1f s", worker.number, code, worker.pause_s
            )
            await asyncio.sleep(worker.pause_s)
            while True:
                try:
                    await self._spawn(worker)
                    break
                except OSError as error:
                    logger.error("worker %d cannot be started: %s", worker.number, error)
                    await asyncio.sleep(LONGEST_PAUSE_S)

    def stop(self) -> None:
        """Ask every worker to end; a second call forces them."""
        self._signals += 1
        self._stop.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Pass a signal on to every worker."""
        for worker in self.workers:
            if worker.is_alive and worker.process is not None:
                worker.process.send_signal(number)

    async def end(self) -> int:
        """Wait until every worker has ended, kill those that do not; return the exit code."""
        if not self._signals:
            self.stop()
        waits = [worker.process.wait() for worker in self.workers if worker.process is not None]
        try:
            async with asyncio.timeout(self.shutdown_timeout_s + GRACE_S):
                codes = await asyncio.gather(*waits)
        except TimeoutError:
            logger.error("workers have not ended in time and are killed")
            self.signal(signal.SIGKILL)
            codes = [1]
        for end in self._lifeline:
            with contextlib.suppress(OSError):
                os.close(end)
        return max((abs(code) for code in codes), default=0)


async def ask(
    socket: Path, path: str, timeout_s: float = 2.0, *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Ask a worker's admin socket for `path`; (0, b"") if it does not answer."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(f"{method} {path} HTTP/1.0\r\nHost: localhost\r\n{fields}\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                if length is None or len(body) != int(length[1]):
                    return 0, b""  # it ended while it was answering
                return int(head.split(b" ", 2)[1]), body
            finally:
                writer.close()
    except (OSError, TimeoutError, IndexError, ValueError):
        return 0, b""


async def is_ready(socket: Path) -> bool:
    """Whether a worker would serve a call now."""
    return (await ask(socket, "/ready"))[0] == 200


def command(config: Path) -> list[str]:
    """Return what starts a worker: this Python, `jupiter run` and the same configuration."""
    return [sys.executable, "-m", "jupiter_addons.cli.main", "run", "--config", str(config)]
