"""What asks: closed loops for CPU, open loops for latency, streams for both.

All on loopback, bounded in count and time.
"""

import asyncio
import random
from dataclasses import dataclass, field

type Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _open(port: int) -> Pair:
    return await asyncio.open_connection("127.0.0.1", port)


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> None:
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        await reader.readexactly(int(lower[at + 15 :].split(b"\r\n", 1)[0]))
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"bench: answered {head[:40]!r}")


async def closed_loop(port: int, raw: bytes, count: int, connections: int = 8, *, keep: bool = True) -> None:
    """Send `count` requests, each connection one at a time; without `keep`, over a new connection each."""
    left = count

    async def one() -> None:
        nonlocal left
        pair = await _open(port) if keep else None
        while left > 0:
            left -= 1
            reader, writer = pair or await _open(port)
            await request(reader, writer, raw)
            if pair is None:
                writer.close()
        if pair is not None:
            pair[1].close()

    await asyncio.gather(*(one() for _ in range(connections)))


async def open_loop(port: int, raw: bytes, rate: float, seconds: float, seed: int) -> list[float]:
    """Send at Poisson arrivals whatever the answers do; return latencies in ms, counted from the intended start."""
    idle: list[Pair] = []
    latencies: list[float] = []
    dice = random.Random(seed)
    loop = asyncio.get_running_loop()

    async def one(due: float) -> None:
        pair = idle.pop() if idle else await _open(port)
        await request(*pair, raw)
        latencies.append((loop.time() - due) * 1000)
        idle.append(pair)

    tasks, due, end = [], loop.time(), loop.time() + seconds
    while due < end:
        await asyncio.sleep(max(0.0, due - loop.time()))
        tasks.append(asyncio.create_task(one(due)))
        due += dice.expovariate(rate)
    await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
    return latencies


@dataclass
class Streams:
    """What came of some streams."""

    complete: int = 0
    first_event_ms: list[float] = field(default_factory=list)


async def streams(port: int, raw: bytes, count: int, *, apart_s: float = 0.0) -> Streams:
    """Run `count` streams at once, begun `apart_s` apart."""
    found = Streams()
    loop = asyncio.get_running_loop()

    async def one(number: int) -> None:
        await asyncio.sleep(number * apart_s)
        reader, writer = await _open(port)
        began = loop.time()
        writer.write(raw)
        seen, tail = False, b""
        while data := await reader.read(65536):
            if not seen and b"data:" in data:
                seen = True
                found.first_event_ms.append((loop.time() - began) * 1000)
            tail = (tail + data)[-64:]
            if tail.endswith(b"0\r\n\r\n"):
                found.complete += b"[DONE]" in tail
                break
        writer.close()

    await asyncio.gather(*(one(number) for number in range(count)))
    return found
