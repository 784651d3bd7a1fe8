"""What the host's classes share: the edge limits and the way to close an exchange.

mitmproxy constructs its handlers, layers and streams itself, so ours cannot be given anything by argument: they find
this one object as a class attribute, set by `seams.install`.
"""

import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakSet

from mitmproxy import http

from jupiter_addons.exchange import AttemptFailure, Exchange
from jupiter_addons.host.clock import Ticker
from jupiter_addons.host.pool import Key, Pool

LEFT_BEHIND = 200
"""So many connections may have ended before their remains are collected.  mitmproxy's layers hold on to one another; what
was there at the start is frozen and costs nothing to look through."""


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What one client may cost before it is known.  Numbers: DESIGN's `proxy.limits`."""

    body_bytes: int = 10 * 1024 * 1024
    upload_bytes: int = 32 * 1024 * 1024
    """The largest body where files are uploaded."""
    answer_bytes: int = 64 * 1024 * 1024
    """The largest answer that is buffered whole (JSON)."""
    header_bytes: int = 64 * 1024
    header_count: int = 100
    header_timeout_s: float = 10.0
    body_rate: int = 1024
    """The fewest bytes a second a request body may come at, on average, after `header_timeout_s`."""
    buffered_bytes: int = 128 * 1024 * 1024
    """The most memory that request bodies and their text may take, over all connections."""
    write_timeout_s: float = 30.0
    """How long a client may take no byte of what is waiting for it."""
    keep_alive_s: float = 75.0
    """How long a client connection is kept without a request."""
    connections: int = 2000
    connections_per_address: int = 2000
    in_flight: int = 1000
    attempts: int = 3
    """How many providers are asked at most, the first included."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What is done faster than stock mitmproxy does it; each can be switched off by itself, to be compared with stock."""

    direct_hooks: bool = True
    """Call whoever listens to a hook; stock asks every addon, twice."""
    inline_hooks: bool = True
    """Run hooks that do not wait at once, without a task of their own."""
    direct_layers: bool = True
    """Give events to the layer that was chosen for a connection; stock has every one pass those that chose it."""
    coalesced_writes: bool = True
    """Write what one round of events produced in one go."""
    fast_headers: bool = True
    unchecked_types: bool = True
    tuned_collector: bool = True


class Close(Protocol):
    """Settle and record an exchange if its stages have not; the chain supplies it."""

    def __call__(self, flow: http.HTTPFlow, x: Exchange) -> Awaitable[None]: ...


@dataclass(slots=True, eq=False)
class Host:
    """The state of the process's one host."""

    limits: EdgeLimits = field(default_factory=EdgeLimits)
    close: Close | None = None
    """None until a chain is in place; the guard then refuses everything."""
    draining: bool = False
    hurried: bool = False
    """What runs is not waited for any more."""
    pool: Pool = field(default_factory=Pool)
    ticker: Ticker = field(default_factory=Ticker)
    handlers: set[Any] = field(default_factory=set)
    """The connection handlers of all client connections."""
    addresses: Counter[str] = field(default_factory=Counter)
    """Client address -> its connections."""
    live: WeakSet[Exchange] = field(default_factory=WeakSet)
    """Exchanges that have begun and not ended."""
    rejected: Callable[[str, str], None] | None = None
    """Told the address and code of every request refused before there was a flow, for the evidence."""
    fault: Callable[[str, BaseException], None] | None = None
    """Told of every fault the guard had to stop, for the metrics."""
    attempt_failed: Callable[[Exchange, AttemptFailure], None] | None = None
    """Told of every attempt at a provider that failed, for the log and the metrics."""
    speed: Speed = Speed()
    serve: Callable[[Any, Any], Awaitable[None]] | None = None
    """Serves a client connection; None while nobody listens."""
    shares_port: bool = False
    """Whether other processes listen on the same port."""
    private_tunnels: bool = False
    """Whether blind tunnels may lead to addresses that are not public."""
    ended: int = 0
    """Client connections that have ended since the collector has looked for what they left behind."""
    left_bytes: int = 0
    """What the large bodies of requests that have ended took, since then."""
    _http2: dict[Key, bool] = field(default_factory=dict)

    def has_room_for(self, address: str) -> bool:
        """Whether one more client connection from this address may be had."""
        limits = self.limits
        return len(self.handlers) < limits.connections and self.addresses[address] < limits.connections_per_address

    def comes(self, handler: Any, address: str) -> None:
        """Count a client connection, by whoever holds it."""
        self.handlers.add(handler)
        self.addresses[address] += 1

    def goes(self, handler: Any, address: str) -> None:
        """Count a client connection no more."""
        self.handlers.discard(handler)
        self.addresses[address] -= 1
        if not self.addresses[address]:
            del self.addresses[address]

    def tell_rejected(self, peer: tuple[Any, ...] | None, code: str) -> None:
        """Tell whoever counts them of a request that was refused before there was a flow."""
        if self.rejected is not None and peer:
            self.rejected(peer[0], code)

    @property
    def is_full(self) -> bool:
        """Whether as many requests are in flight as may be."""
        return len(self.live) >= self.limits.in_flight

    @property
    def is_pressed(self) -> bool:
        """Whether some of the requests that come now are refused."""
        return self.is_full or self.ticker.shedder.sheds

    def speaks_http2(self, key: Key) -> bool:
        """Whether a provider chose HTTP/2 when it was last dialled."""
        return self._http2.get(key, False)

    def note_http2(self, key: Key, spoken: bool) -> None:
        """Remember what a provider chose."""
        self._http2[key] = spoken

    def tend(self) -> None:
        """Do what needs doing about once a second."""
        self.pool.expire()
        if self.ended > LEFT_BEHIND and self.speed.tuned_collector:
            self.ended = 0
            gc.collect()
        for handler in list(self.handlers):
            handler.tend()
