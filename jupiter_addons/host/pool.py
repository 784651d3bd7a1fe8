"""Idle upstream connections, shared by all client connections of the process, and how many there may be.

A connection is pooled whole: its socket, the TLS and HTTP layers that hold its state, and mitmproxy's object for it.  So
upstream TLS stays mitmproxy's, with its verification settings, and a client that opens a new connection for every
request still meets a warm one.
"""

import asyncio
import collections
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mitmproxy.connection import Connection, Server
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers.http import Http1Client, HttpClient

from jupiter_addons.host.upstream_http2 import UpstreamHttp2
from jupiter_addons.host.wire import Wire

type Key = tuple[tuple[str, int], bool, str | None]
"""Address, whether in TLS, and the server name: what a connection must have in common with a request to serve it."""

IDLE_S = 50.0
"""How long a connection is kept without use: below the minute after which providers' load balancers drop theirs."""


@dataclass(slots=True, eq=False)
class Upstream:
    """One connection to a provider and the layers above it."""

    key: Key
    server: Server
    top: layer.Layer
    client: HttpClient
    holder: Any = None
    """The HTTP layer that uses it now; None in the pool."""
    handler: Any = None
    """The connection handler that reads it now."""
    served: int = 0
    """Requests it has been given."""
    since: float = 0.0
    """When it came into the pool; monotonic seconds."""

    @property
    def http(self) -> Any:
        """The HTTP/1 or HTTP/2 layer; None until the connection stands."""
        return getattr(self.client, "child_layer", None)

    @property
    def is_idle(self) -> bool:
        """Whether it stands and serves no request."""
        http = self.http
        if not self.server.connected or self.server.error:
            return False
        if isinstance(http, Http1Client):
            return http.stream_id is None and http.state == http.read_headers and not http.buf
        return (
            isinstance(http, UpstreamHttp2)
            and not http.streams
            and not http.stream_queue
            and not http.going_away
            and http._handle_event != http.done
        )

    @property
    def can_take(self) -> bool:
        """Whether one more request can be sent now: HTTP/1 when idle, HTTP/2 up to what the provider allows at once."""
        http = self.http
        if isinstance(http, UpstreamHttp2):
            most = http.provisional_max_concurrency or http.h2_conn.remote_settings.max_concurrent_streams
            gone = http.going_away or http._handle_event == http.done
            return self.server.connected and not gone and len(http.streams) < most
        return self.is_idle


class UpstreamWire(Wire):
    """A wire that gives back its place among the connections to its address when it is closed."""

    _freed: Callable[[], None] | None = None
    _lost = False

    def tie(self, freed: Callable[[], None]) -> None:
        """Call `freed` when the connection is closed; at once if it is."""
        self._freed = freed
        if self._lost:
            freed()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, then the pool."""
        super().connection_lost(exc)
        self._lost = True
        if self._freed is not None:
            self._freed()


class Pool:
    """The process's idle upstream connections."""

    def __init__(self) -> None:
        self._idle: collections.defaultdict[Key, collections.deque[tuple[Upstream, Wire]]] = collections.defaultdict(
            collections.deque
        )
        self._of: dict[Wire, Upstream] = {}
        self._open: collections.Counter[tuple[str, int]] = collections.Counter()
        self._waiting: dict[tuple[str, int], collections.deque[asyncio.Future[None]]] = {}
        self._used: dict[Connection, Upstream] = {}
        self.reused = 0
        """Requests that found a warm connection here."""

    def __len__(self) -> int:
        return len(self._of)

    @property
    def open(self) -> int:
        """How many upstream connections there are, idle or not."""
        return self._open.total()

    # -- idle connections ---------------------------------------------------------------------------------------------

    def take(self, key: Key) -> tuple[Upstream, Wire] | None:
        """Return the connection that was used last among those that would do."""
        queue = self._idle.get(key)
        while queue:
            upstream, wire = queue.pop()
            self._of.pop(wire, None)
            if wire.is_open:
                self.reused += 1
                self._used[upstream.server] = upstream
                return upstream, wire
        return None

    def retire(self, key: Key) -> None:
        """Close the connection that has been idle the longest: a new one is about to take its place."""
        if queue := self._idle.get(key):
            self._discard(queue[0][1])

    def give(self, upstream: Upstream, wire: Wire) -> None:
        """Keep a connection for whoever needs it next; one that somebody is waiting for the place of is closed."""
        self._used.pop(upstream.server, None)
        if upstream.key[0] in self._waiting or not wire.is_open:
            wire.close()
            return
        upstream.holder = upstream.handler = None
        upstream.since = time.monotonic()
        self._of[wire] = upstream
        self._idle[upstream.key].append((upstream, wire))
        wire.take(self)

    def use(self, upstream: Upstream) -> None:
        """Know of a connection that has been opened."""
        self._used[upstream.server] = upstream

    def using(self, connection: Connection) -> Upstream | None:
        """Return the connection behind mitmproxy's object for it, if it is in use."""
        return self._used.get(connection)

    def drop(self, upstream: Upstream) -> None:
        """Forget a connection that has been closed."""
        self._used.pop(upstream.server, None)

    def wire_data(self, wire: Wire, data: bytes) -> None:
        """Nobody asked for anything: whatever this is, the connection is of no use any more."""
        self._discard(wire)

    def wire_ended(self, wire: Wire, *, lost: bool) -> None:
        """The provider closed an idle connection."""
        self._discard(wire)

    def wire_congested(self, wire: Wire, *, congested: bool) -> None:
        """Nothing is written to an idle connection."""

    def _discard(self, wire: Wire) -> None:
        upstream = self._of.pop(wire, None)
        if upstream is not None:
            queue = self._idle[upstream.key]
            queue.remove((upstream, wire))
            if not queue:
                del self._idle[upstream.key]
        wire.close()

    def expire(self, idle_s: float = IDLE_S) -> None:
        """Close what has been idle for too long."""
        before = time.monotonic() - idle_s
        for wire, upstream in list(self._of.items()):
            if upstream.since <= before:
                self._discard(wire)

    # -- how many there may be ------------------------------------------------------------------------------------------

    def is_wanted(self, address: tuple[str, int]) -> bool:
        """Whether somebody waits for a place among the connections to `address`."""
        return address in self._waiting

    async def place(self, address: tuple[str, int], most: int) -> Callable[[], None]:
        """Return, once there are fewer than `most` connections to `address`, what to call when this one is closed."""
        if self._open[address] >= most:
            self._make_room(address)
        while self._open[address] >= most:
            place = asyncio.get_running_loop().create_future()
            queue = self._waiting.setdefault(address, collections.deque())
            queue.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place in queue:
                    queue.remove(place)
                else:
                    self._wake(address)  # the place was ours already: it goes to the next
                raise
            finally:
                if not queue and self._waiting.get(address) is queue:
                    del self._waiting[address]
        self._open[address] += 1

        held = True

        def freed() -> None:
            nonlocal held
            if not held:
                return
            held = False
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]
            self._wake(address)

        return freed

    def _wake(self, address: tuple[str, int]) -> None:
        queue = self._waiting.get(address)
        while queue:
            place = queue.popleft()
            if not place.done():
                place.set_result(None)
                return

    def _make_room(self, address: tuple[str, int]) -> None:
        """Close one connection to `address` that nobody needs now: a pooled one, else one that a quiet client holds."""
        for wire, upstream in self._of.items():
            if upstream.key[0] == address:
                self._discard(wire)
                return
        for upstream in self._used.values():
            if upstream.key[0] == address and upstream.is_idle and upstream.handler is not None:
                upstream.handler.close_connection(upstream.server)
                return
