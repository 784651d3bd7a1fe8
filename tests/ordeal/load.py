"""Load from a process of its own, and what it costs the gateway.

    load = Load(gateway.port, [request], seconds=5, rate=300)      an open loop: Poisson arrivals, whatever the answers do
    load = Load(gateway.port, [request], requests=500, connections=8)          a closed loop: each connection one at a time
    found = load.result(); found.answered(200); found.refused[0].ms

The generator is a process because a row's thread, its provider's and a load's would take the interpreter from each other.
It shares two cores with the gateway and knows when it was late itself: such answers are marked, and their times are not the
gateway's.  It knows nothing of the gateway but its port; `Meter` reads what the kernel knows of a process.
"""

import asyncio
import bisect
import contextlib
import os
import pickle
import random
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LATE_S = 0.01
"""A generator that is so late did not see an answer when it came."""
GRACE_S = 10.0
"""How long answers are waited for when the load is over, unless it says so itself."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


class Meter:
    """What a process has used so far, from /proc."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    def cpu_s(self) -> float:
        """CPU seconds, user and system; the kernel counts in hundredths."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S

    def rss_mb(self) -> float:
        return int((self._proc / "statm").read_text().split()[1]) * _PAGE_MB

    def peak_mb(self) -> float:
        """The most memory it has held since it started, or since `forget_peak`."""
        lines = (self._proc / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6

    def forget_peak(self) -> None:
        (self._proc / "clear_refs").write_text("5")  # proc(5)

    def open_files(self) -> int:
        return len(list((self._proc / "fd").iterdir()))


@dataclass(slots=True)
class Answer:
    """What came of one request.  Status 0: the connection was lost instead."""

    sent_s: float
    """From the beginning of the load."""
    ms: float
    status: int
    advised: bool = False
    """It says when to try again."""
    clean: bool = True
    """The generator was not late itself while it waited."""


@dataclass
class Found:
    """What came of a load."""

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    """Until the last request was sent."""
    unanswered: int = 0
    """Asked, and neither answered nor cut within the grace."""
    unsent: int = 0
    """Due while every connection was taken."""

    @property
    def sent(self) -> int:
        return len(self.answers) + self.unanswered

    def answered(self, *statuses: int) -> list[Answer]:
        return [answer for answer in self.answers if answer.status in statuses]

    def statuses(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for answer in self.answers:
            found[answer.status] = found.get(answer.status, 0) + 1
        return found


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of all do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Load:
    """A running load."""

    def __init__(self, port: int, raws: list[bytes], **how: Any) -> None:
        """`raws` are sent in turn.  `how` is what `_Generator` takes."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from ordeal.load import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        )
        assert self._process.stdin is not None
        pickle.dump((port, raws, how), self._process.stdin)
        self._process.stdin.close()

    def result(self) -> Found:
        """Wait for the end."""
        assert self._process.stdout is not None
        found: Found = pickle.load(self._process.stdout)
        self._process.wait(10)
        return found

    def stop_after(self, seconds: float) -> None:
        """Switch its clients off then; there is no result."""
        time.sleep(seconds)
        self._process.kill()
        self._process.wait()


class _Connection(asyncio.Protocol):
    """One client: asks, reads the answer, and can be asked again."""

    def __init__(self, generator: "_Generator") -> None:
        self._generator = generator
        self._buffer = bytearray()
        self._sent_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, raw: bytes) -> None:
        self._sent_s = time.perf_counter()
        self._transport.write(raw)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer.clear()
        closing = b"connection: close" in head
        if closing:
            self._transport.abort()
        self._over(int(head[9:12]), advised=b"retry-after:" in head, again=not closing)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.forget(self)
        self._over(0, advised=False, again=False)

    def _over(self, status: int, *, advised: bool, again: bool) -> None:
        sent, self._sent_s = self._sent_s, None
        if sent is not None:
            self._generator.answered(self, sent, status, advised=advised, again=again)


class _Generator:
    """What runs in the process."""

    def __init__(
        self,
        port: int,
        raws: list[bytes],
        *,
        rate: float = 0.0,
        seconds: float = 0.0,
        requests: int = 0,
        connections: int = 32,
        grace_s: float = GRACE_S,
        seed: int = 1,
    ) -> None:
        """With a `rate`, an open loop for `seconds` on as many connections as it takes, up to `connections`; without, a closed
        loop on `connections` for `seconds` or for so many `requests`."""
        self._port, self._raws = port, raws
        self._rate, self._seconds, self._left = rate, seconds, requests or sys.maxsize
        self._most, self._grace_s, self._dice = connections, grace_s, random.Random(seed)
        self._idle: deque[_Connection] = deque()
        self._open: set[_Connection] = set()
        self._asked = self._connecting = 0
        self._late: list[tuple[float, float]] = []
        self._found = Found()

    async def run(self) -> Found:
        self._loop = asyncio.get_running_loop()
        for _ in range(self._most if not self._rate else min(self._most, 100)):
            self._idle.append(await self._connect())
        self._began = time.perf_counter()
        self._over = self._began + (self._seconds or 600.0)
        watch = asyncio.create_task(self._watch())
        if self._rate:
            await self._arrive()
        else:
            for _ in range(len(self._idle)):
                self._next(self._idle.popleft())
            while time.perf_counter() < self._over and self._left > 0:
                await asyncio.sleep(0.01)
        self._over, self._left = 0.0, 0
        self._found.seconds = time.perf_counter() - self._began
        deadline = time.perf_counter() + self._grace_s
        while self._asked + self._connecting > len(self._found.answers) and time.perf_counter() < deadline:
            await asyncio.sleep(0.01)
        watch.cancel()
        self._found.unanswered = self._asked - len(self._found.answers)
        self._mark()
        return self._found

    async def _arrive(self) -> None:
        due = self._began
        while due < self._over:
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if self._idle:
                self._ask(self._idle.pop())
            elif len(self._open) + self._connecting < self._most:
                self._connecting += 1
                asyncio.create_task(self._ask_on_a_new_one())  # noqa: RUF006 - it is counted
            else:
                self._found.unsent += 1
            due += self._dice.expovariate(self._rate)

    async def _ask_on_a_new_one(self) -> None:
        try:
            connection = await self._connect()
        except OSError:
            self._asked += 1
            self._found.answers.append(Answer(time.perf_counter() - self._began, 0.0, 0))
        else:
            self._ask(connection)
        self._connecting -= 1

    async def _connect(self) -> _Connection:
        _, connection = await self._loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        self._open.add(connection)
        return connection

    def _ask(self, connection: _Connection) -> None:
        self._left -= 1
        raw = self._raws[self._asked % len(self._raws)]
        self._asked += 1
        connection.ask(raw)

    def _next(self, connection: _Connection) -> None:
        if self._left > 0 and time.perf_counter() < self._over:
            self._ask(connection)

    def answered(self, connection: _Connection, sent: float, status: int, *, advised: bool, again: bool) -> None:
        """Note an answer; in a closed loop the connection asks again at once, or another one in its place."""
        now = time.perf_counter()
        self._found.answers.append(Answer(sent - self._began, (now - sent) * 1000, status, advised))
        if not self._rate:
            if again:
                self._next(connection)
            elif self._left > 0 and now < self._over:
                self._connecting += 1
                asyncio.create_task(self._ask_on_a_new_one())  # noqa: RUF006 - it is counted
        elif again:
            self._idle.append(connection)

    def forget(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def _watch(self) -> None:
        while True:
            due = time.perf_counter() + LATE_S / 2
            await asyncio.sleep(LATE_S / 2)
            now = time.perf_counter()
            if now - due > LATE_S:
                self._late.append((due - self._began, now - self._began))

    def _mark(self) -> None:
        ends = [end for _, end in self._late]
        for answer in self._found.answers:
            at = bisect.bisect_left(ends, answer.sent_s)
            answer.clean = at == len(ends) or self._late[at][0] > answer.sent_s + answer.ms / 1000


def main() -> None:
    """Read what to do from standard input, do it, and write what came of it to standard output."""
    port, raws, how = pickle.load(sys.stdin.buffer)
    found = asyncio.run(_Generator(port, raws, **how).run())
    with contextlib.suppress(BrokenPipeError):  # the row has failed and nobody waits any more
        pickle.dump(found, sys.stdout.buffer)
