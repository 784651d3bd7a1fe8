"""A witness in a thread: the real rules, memory and port, on loopback."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from support.gateway import free_port

from jupiter_addons.evidence.signing import PublicKey, SigningKey
from jupiter_addons.evidence.witness import Answer, add_checkpoint
from jupiter_addons.storage.witness_sqlite import WitnessStore
from jupiter_addons.telemetry.witness import serve

NOW_S = 1_700_000_000


@contextlib.contextmanager
def a_port(add: Callable[[bytes], Answer], shown: Callable[[str], str | None]) -> Iterator[str]:
    """Serve the port of a witness; yield the prefix of its addresses."""
    port, up, done = free_port(), threading.Event(), []

    async def main() -> None:
        server = serve(("127.0.0.1", port), add, shown)
        stop = asyncio.Event()
        done.append((asyncio.get_running_loop(), stop))
        up.set()
        await stop.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert up.wait(30)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        [(loop, stop)] = done
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@contextlib.contextmanager
def a_witness(directory: Path, key: SigningKey, logs: dict[str, list[PublicKey]]) -> Iterator[str]:
    """Serve a witness of `logs`, which may be added to."""
    store = WitnessStore(directory / "witness.db")
    try:
        with a_port(lambda data: add_checkpoint(data, logs, store, key, NOW_S), store.note) as url:
            yield url
    finally:
        store.close()
