"""What the host's classes share: the edge limits and the way to close an exchange.

mitmproxy constructs its handlers, layers and streams itself, so ours cannot be given anything by argument: they find
this one object as a class attribute, set by `seams.install`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol
from weakref import WeakSet

from mitmproxy import http

from jupiter_addons.exchange import Exchange


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """What one client may cost before it is known.  Numbers: DESIGN's `proxy.limits`."""

    body_bytes: int = 10 * 1024 * 1024
    answer_bytes: int = 64 * 1024 * 1024
    """The largest answer that is buffered whole (JSON)."""
    header_bytes: int = 64 * 1024
    header_count: int = 100
    header_timeout_s: float = 10.0
    connections: int = 2000
    in_flight: int = 1000


class Close(Protocol):
    """Settle and record an exchange if its stages have not; the chain supplies it."""

    def __call__(self, flow: http.HTTPFlow, x: Exchange) -> Awaitable[None]: ...


@dataclass(slots=True)
class Host:
    """The state of the process's one host."""

    limits: EdgeLimits = field(default_factory=EdgeLimits)
    close: Close | None = None
    """None until a chain is in place; the guard then refuses everything."""
    draining: bool = False
    connections: int = 0
    live: WeakSet[Exchange] = field(default_factory=WeakSet)
    """Exchanges that have begun and not ended."""
    rejected: Callable[[str, str], None] | None = None
    """Told the address and code of every request refused before there was a flow, for the evidence."""
    fault: Callable[[str, BaseException], None] | None = None
    """Told of every fault the guard had to stop, for the metrics."""
