"""One connection to a Redis server, that all calls of an event loop share.

Calls are written one behind the other, and answers come in the same order: a thousand calls at once need no thousand
connections and no pool to wait for, and cost a tenth of what a client with a pool does.  Nothing is tried twice: whether a call
was made that nobody has answered, only the caller can find out.

A server from which nothing is heard for `LIMIT_S` is left alone for `PAUSE_S`, and whoever calls meanwhile is told at once:
that is all that an outage costs a call, and the first one after it finds out that it is over.  A server that answers, but is
behind by `LATE_LOOKS`, is asked nothing more until it has caught up.
"""

import asyncio
import logging
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import hiredis

from jupiter_addons.addresses import RedisAddress
from jupiter_addons.errors import StoreError

logger = logging.getLogger(__name__)

LIMIT_S = 0.05
"""The longest that nothing is heard while somebody waits, and that a call waits for a connection."""
LATE_LOOKS = 4
"""So often it may be looked, every `LIMIT_S`, while a call waits.  Looks are counted and not seconds, because an event loop
that is kept by something else does not read what has long been answered, and does not look either."""
AGAIN_S = 0.002
"""Before silence is believed the event loop reads once more."""
PAUSE_S = 0.5
"""How long a server that failed is left alone."""
CONNECT_S = 2.0
"""The longest that connecting may take, which calls do not wait for."""
MAX_WAITING = 4096
"""With so many calls waiting, more are refused."""
GONE = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "UNBLOCKED")
"""Answers of a server that is not, or no longer, the one to ask: connecting anew may lead to another."""


class RefusedError(StoreError):
    """The server has answered with an error; the text begins with its code."""

    def __init__(self, where: RedisAddress, text: str) -> None:
        super().__init__(f"{where} answered: {text}")
        self.code = text.partition(" ")[0]


class UnansweredError(StoreError):
    """The command was written, and nobody knows whether it was carried out."""


class _Peer(asyncio.Protocol):
    """The bytes of one connection."""

    def __init__(self, where: RedisAddress, lost: Callable[[str], None]) -> None:
        self._where = where
        self._lost = lost
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[Any], float, int]] = deque()
        """What is to be answered, since when, and how often it had been looked then."""
        self._heard_s = 0.0
        self._looks = self._silent_looks = 0
        self._watch: asyncio.TimerHandle | None = None
        self._ended = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Give answers to whom they are for."""
        self._heard_s, self._silent_looks = time.monotonic(), 0
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not False:
                future, *_ = self._waiting.popleft()
                if future.done():
                    continue  # who asked has gone
                if isinstance(answer, hiredis.ReplyError):
                    future.set_exception(RefusedError(self._where, str(answer)))
                else:
                    future.set_result(answer)
        except (hiredis.ProtocolError, IndexError):
            self.end("it does not speak the protocol of Redis")

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone."""
        self.end(str(exc) if exc is not None else "it closed the connection")

    def call(self, *words: str | bytes | int, limited: bool = True) -> asyncio.Future[Any]:
        """Write a command; return its answer to come.  Unless `limited`, it may take as long as it likes."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        now_s = time.monotonic()
        if not self._waiting:
            self._heard_s = now_s
        elif len(self._waiting) >= MAX_WAITING or self._looks - self._waiting[0][2] > LATE_LOOKS:
            future.set_exception(StoreError(f"{self._where} is behind by {len(self._waiting)} calls"))
            return future
        if not limited:
            now_s = float("inf")
        self._waiting.append((future, now_s, self._looks))
        self.transport.write(hiredis.pack_command(words))  # type: ignore[arg-type] # its stub means a tuple of any length
        if self._watch is None and limited:
            self._watch = loop.call_later(LIMIT_S, self._look)
        return future

    def _look(self) -> None:
        """End a connection on which nothing is heard."""
        self._watch = None
        if not self._waiting:
            return
        self._looks += 1
        left_s = max(self._heard_s, self._waiting[0][1]) + LIMIT_S - time.monotonic()
        if left_s <= 0:
            self._silent_looks += 1
            if self._silent_looks > 1:
                self.end(f"it did not answer within {LIMIT_S * 1000:.0f} ms")
                return
        again_s = min(LIMIT_S, max(AGAIN_S, left_s))
        self._watch = asyncio.get_running_loop().call_later(again_s, self._look)

    def end(self, why: str) -> None:
        """Let go of it; whoever waits is told why."""
        if self._ended:
            return
        self._ended = True
        self.transport.abort()
        waiting, self._waiting = self._waiting, deque()
        for future, *_ in waiting:
            if not future.done():
                future.set_exception(UnansweredError(f"{self._where} cannot be used: {why}"))
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._lost(why)


class RedisConnection:
    """The connection, made when it is needed and made anew when it is lost.  Belongs to one event loop."""

    def __init__(
        self, where: RedisAddress, greet: Callable[["RedisConnection"], Awaitable[None]] | None = None
    ) -> None:
        """`greet` is called with every new connection before others may use it; it says by StoreError if it may not be used."""
        self._where = where
        self._greet = greet
        self._peer: _Peer | None = None
        self._ready = False
        self._connecting: asyncio.Task[None] | None = None
        self._rest_until_s = 0.0
        self._why = ""
        self._closed = False

    async def call(self, *words: str | bytes | int) -> Any:
        """Return the answer to a command.  Raises StoreError; RefusedError if the server has said no."""
        if not self._ready:
            await self.connect(LIMIT_S)
        peer = self._peer
        if peer is None:
            raise StoreError(f"{self._where} cannot be used: {self._why}")
        try:
            return await peer.call(*words)
        except RefusedError as error:
            if error.code in GONE:
                peer.end(str(error))
            raise

    async def ask(self, *words: str | bytes | int) -> Any:
        """Return the answer to a command of `greet`, or of one who can wait: it may take up to `CONNECT_S`."""
        if self._peer is None:
            raise StoreError(f"{self._where} cannot be used: {self._why}")
        try:
            async with asyncio.timeout(CONNECT_S):
                return await self._peer.call(*words, limited=False)
        except TimeoutError as error:
            raise StoreError(f"{self._where} did not answer within {CONNECT_S:.0f} s") from error

    def close(self) -> None:
        """Let go of it."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._peer is not None:
            self._peer.end("it is closed")

    async def connect(self, within_s: float = CONNECT_S) -> None:
        """Be connected.  Raises StoreError, at once if that failed a moment ago."""
        if self._ready:
            return
        if self._closed:
            raise StoreError(f"{self._where} is closed")
        if time.monotonic() < self._rest_until_s:
            raise StoreError(f"{self._where} failed a moment ago: {self._why}")
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
        done, _ = await asyncio.wait((self._connecting,), timeout=within_s)
        if not done:
            raise StoreError(f"{self._where} is being connected to")
        if not self._ready:
            raise StoreError(f"{self._where} cannot be used: {self._why}")

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._open()
        except (OSError, TimeoutError, StoreError) as error:
            why = str(error) or "connecting took too long"
            if self._peer is not None:
                self._peer.end(why)
            else:
                self._lost(why)
            return
        if self._why:
            logger.warning("%s can be used again", self._where)
        self._why, self._ready = "", True

    async def _open(self) -> None:
        where = self._where
        tls = ssl.create_default_context() if where.is_tls else None
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(
            lambda: _Peer(where, self._lost),
            where.host,
            where.port,
            ssl=tls,
            server_hostname=where.host if tls else None,
        )
        self._peer = peer
        if where.password is not None:
            known = (where.user, where.password) if where.user is not None else (where.password,)
            await self.ask("AUTH", *known)
        if where.database:
            await self.ask("SELECT", where.database)
        if self._greet is not None:
            await self._greet(self)

    def _lost(self, why: str) -> None:
        if not self._closed and not self._why:
            logger.error("%s cannot be used: %s", self._where, why)
        self._peer, self._ready, self._why = None, False, why
        self._rest_until_s = time.monotonic() + PAUSE_S
