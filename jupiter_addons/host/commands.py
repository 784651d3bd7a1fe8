"""What our layers ask of the connection handler beside mitmproxy's own commands, and the events it gives them."""

import math
from dataclasses import dataclass

from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers.http import GetHttpConnection

from jupiter_addons.exchange import Exchange
from jupiter_addons.host.wire import Wire

CLOSED = "the provider closed the connection"
"""What the connection says of a request that the provider cannot have looked at, if it had served others before."""


class Clock(commands.Command):
    """When a layer wants to be woken; yielded once, then only changed."""

    def __init__(self) -> None:
        self.at = math.inf
        """Monotonic seconds; infinity for never."""

    def wake_by(self, at: float) -> None:
        """Make sure of being woken then, or earlier."""
        if at < self.at:
            self.at = at


class Overdue(events.Event):
    """A clock's time has come, or with `shutdown` everybody's who has one."""

    def __init__(self, clock: Clock, *, shutdown: bool = False) -> None:
        self.clock, self.shutdown = clock, shutdown


class ShutDown(events.Event):
    """The process ends: what runs is to end now."""


class Pause(commands.Command):
    """Wait; blocks the stream that asks, not its connection."""

    blocking = True

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


@dataclass
class PauseCompleted(events.CommandCompleted):
    """A pause is over."""

    command: Pause
    reply: None = None


class Throttle(commands.Command):
    """Stop reading from the providers of this connection, or go on: its client does not take what they send."""

    def __init__(self, *, on: bool) -> None:
        self.on = on


class Over(commands.Command):
    """A request is over: its answer has been written, or nobody waits for it."""

    def __init__(self, x: Exchange) -> None:
        self.x = x


class Crashed(events.Event):
    """A layer has raised; given back to it, so that it can end what it was doing."""

    def __init__(self, fault: BaseException) -> None:
        self.fault = fault


class Adopt(commands.ConnectionCommand):
    """Make a pooled connection one of this handler's."""

    connection: Server

    def __init__(self, connection: Server, wire: Wire) -> None:
        super().__init__(connection)
        self.wire = wire


class Dial(GetHttpConnection):
    """Get a connection to a provider; a `fresh` one has not been used before, one that `replaces` takes an idle one's place."""

    def __init__(self, address: tuple[str, int], use_tls: bool, *, fresh: bool = False, replaces: bool = False) -> None:
        super().__init__(address, use_tls, None)
        self.fresh = fresh or replaces
        self.replaces = replaces
