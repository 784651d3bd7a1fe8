"""The pump: one client connection and its upstreams, driven without a task, a lock or a log line per event.

mitmproxy's own connection handler starts a task for every hook, takes a lock for every event, writes each piece by
itself and reads through asyncio's streams.  This one keeps its contract with the layers (same events, same commands, in
the same order; a hook's completion is only handled once the layers have come to rest) and drops the rest:

* hooks that do not wait run at once; those that do become a task,
* all bytes for one connection that come out of one round of events are written together,
* timers are the loop's own, connections are `Wire`s.

`tests/host/test_pump.py` holds it to the stock handler: same input, same bytes, same hooks.
"""

import asyncio
import collections
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from mitmproxy.connection import Connection, ConnectionState, Server
from mitmproxy.proxy import commands, events, mode_servers, server_hooks
from mitmproxy.proxy.layer import CommandGenerator

from jupiter_addons.host.commands import Pause, PauseCompleted, Throttle
from jupiter_addons.host.remains import take_apart
from jupiter_addons.host.shortcuts import chosen_layer
from jupiter_addons.host.state import Host
from jupiter_addons.host.wire import Wire

logger = logging.getLogger(__name__)


class Pump(mode_servers.ProxyConnectionHandler):
    """Moves events into the layers and carries out the commands that come back."""

    host: ClassVar[Host]
    transports: dict[Connection, Wire]  # type: ignore[assignment] # stock keeps a task and two streams for each

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)  # type: ignore[no-untyped-call] # mitmproxy's own has no annotations
        pair: Any = self.transports[self.client]  # what stock has just put there
        wire, self._writer = pair.reader, pair.writer
        self.transports = {self.client: wire}
        self.last_activity = time.monotonic()
        self._of: dict[Wire, Connection] = {wire: self.client}
        self._events: collections.deque[events.Event] = collections.deque()
        self._out: dict[Connection, list[bytes]] = {}
        self._busy = self._throttled = False
        self._throttled_since = 0.0
        self._coalesce, self._inline = self.host.speed.coalesced_writes, self.host.speed.inline_hooks
        self._direct = self.host.speed.direct_layers
        self._below: Callable[[events.Event], CommandGenerator[None]] | None = None
        """Where events go once the layers on top have chosen what is below them."""
        self._timers: set[asyncio.TimerHandle] = set()
        self._pauses: dict[Pause, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()

    # -- the life of a connection ---------------------------------------------------------------------------------------

    async def handle_client(self) -> None:
        """Serve the client until it is gone."""
        await self.handle_hook(server_hooks.ClientConnectedHook(self.client))
        wire = self.transports[self.client]
        if self.client.error:
            wire.close()
            return
        wire.take(self)
        self.dispatch(events.Start())
        if wire.is_closing():
            self.wire_ended(wire, lost=True)  # it broke while the hook above waited
        await self._gone
        self.client.timestamp_end = time.time()
        for timer in self._timers:
            timer.cancel()
        for over in list(self._pauses.values()):
            over()  # who waits has to learn that nobody is there any more
        await self.handle_hook(server_hooks.ClientDisconnectedHook(self.client))
        for connection in list(self.transports):
            self.let_go(connection)
        for task in list(self._tasks):
            if task.get_name() == "open":
                task.cancel()
        while self._tasks:  # what is being recorded
            await asyncio.wait(self._tasks)
        self._busy = True  # whatever still comes has nobody to go to
        self.timeout_watchdog: Any = None  # stock's, which calls back here and is not used
        self._below = None
        take_apart(self.layer)

    def let_go(self, connection: Connection) -> None:
        """The client is gone: do with an upstream connection what is to be done with it."""
        self.close_connection(connection)

    def cancel(self, reason: str) -> None:
        """Drop the client connection, as if it had broken."""
        logger.debug("a client connection is dropped: %s", reason)
        if (wire := self.transports.get(self.client)) is not None:
            self.wire_ended(wire, lost=True)
            wire.abort()

    @property
    def unsent(self) -> int:
        """How many bytes wait to be taken by the client."""
        wire = self.transports.get(self.client)
        return 0 if wire is None or wire.is_closing() else wire.transport.get_write_buffer_size()

    # -- what wires tell ------------------------------------------------------------------------------------------------

    def wire_data(self, wire: Wire, data: bytes) -> None:
        """Bytes arrived."""
        self.dispatch(events.DataReceived(self._of[wire], data))

    def wire_ended(self, wire: Wire, *, lost: bool) -> None:
        """A peer has sent its last byte, or the connection is gone."""
        connection = self._of.get(wire)
        if connection is None:
            return
        told = not connection.state & ConnectionState.CAN_READ
        if lost:
            connection.state = ConnectionState.CLOSED
        else:
            connection.state &= ~ConnectionState.CAN_READ
        if not told:
            self.dispatch(events.ConnectionClosed(connection))
        if connection.state is ConnectionState.CLOSED and connection in self.transports:
            self._forget(connection)
            wire.close()
            self._ended(connection)

    def wire_congested(self, wire: Wire, *, congested: bool) -> None:
        """A peer does not take its bytes: nobody else on this handler is read meanwhile."""
        for other in self.transports.values():
            if other is not wire:
                (other.pause if congested else other.resume)()

    def _forget(self, connection: Connection) -> None:
        wire = self.transports.pop(connection)
        self._of.pop(wire, None)
        if wire.congested:
            self.wire_congested(wire, congested=False)
        self._out.pop(connection, None)

    def _ended(self, connection: Connection) -> None:
        if connection is self.client:
            if not self._gone.done():
                self._gone.set_result(None)
        else:
            assert isinstance(connection, Server)
            connection.timestamp_end = time.time()
            hook = server_hooks.ServerDisconnectedHook(server_hooks.ServerConnectionHookData(connection, self.client))
            self._spawn(self.handle_hook(hook), "hook")

    # -- events and commands --------------------------------------------------------------------------------------------

    async def server_event(self, event: events.Event) -> None:
        """See `dispatch`; for callers that know the stock handler."""
        self.dispatch(event)

    def dispatch(self, event: events.Event | None) -> None:
        """Give an event to the layers and carry out what they ask for; None only carries out what is left to do.

        Called from within itself (a hook that ran at once, a connection that broke while being written to) the event
        waits until the layers have come to rest.
        """
        if event is not None:
            self._events.append(event)
        if self._busy:
            return
        self._busy = True
        self.last_activity = time.monotonic()
        try:
            while self._events:
                current = self._events.popleft()
                try:
                    for command in (self._below or self._give_to_top)(current):
                        action = ACTIONS.get(command.__class__) or _action_for(command.__class__)
                        action(self, command)
                except Exception as fault:  # noqa: BLE001 - a layer that failed must not leave its client waiting
                    self.crashed(fault)
                if not self._events and self._out:
                    self._flush()
        finally:
            self._busy = False

    def _give_to_top(self, event: events.Event) -> CommandGenerator[None]:
        yield from self.layer.handle_event(event)
        if self._direct and (chosen := chosen_layer(self.layer)) is not self.layer:
            self._below = chosen.handle_event

    def crashed(self, fault: Exception) -> None:
        """Drop the connection whose layers failed; stock would leave the client waiting."""
        logger.error("the layers of a connection failed: %r", fault, exc_info=fault)
        self._events.clear()
        self._out.clear()
        self._loop.call_soon(self.cancel, "its layers failed")

    def _flush(self) -> None:
        out, self._out = self._out, {}
        for connection, pieces in out.items():
            wire = self.transports.get(connection)
            if wire is not None:
                wire.write(pieces)

    def _send(self, command: commands.SendData) -> None:
        connection = command.connection
        if connection not in self.transports:
            return
        if self._coalesce:
            pieces = self._out.get(connection)
            if pieces is None:
                self._out[connection] = [command.data]
            else:
                pieces.append(command.data)
        else:
            self.transports[connection].write([command.data])

    def _close(self, command: commands.CloseConnection) -> None:
        half = isinstance(command, commands.CloseTcpConnection) and command.half_close
        self.close_connection(command.connection, half)

    def close_connection(self, connection: Connection, half_close: bool = False) -> None:
        """Close after what has been written so far; `half_close` leaves the peer's direction open."""
        wire = self.transports.get(connection)
        if wire is None:
            return
        if self._out:
            self._flush()
        if half_close:
            if not connection.state & ConnectionState.CAN_WRITE:
                return
            wire.half_close()
            connection.state &= ~ConnectionState.CAN_WRITE
            if connection.state is not ConnectionState.CLOSED:
                return
        told = not connection.state & ConnectionState.CAN_READ
        connection.state = ConnectionState.CLOSED
        self._forget(connection)
        wire.close()
        if not told:
            self.dispatch(events.ConnectionClosed(connection))
        self._ended(connection)

    def _wake(self, command: commands.RequestWakeup) -> None:
        def fire() -> None:
            self._timers.discard(handle)
            self.dispatch(events.Wakeup(command))

        handle = self._loop.call_later(command.delay, fire)
        self._timers.add(handle)

    def _pause(self, command: Pause) -> None:
        def over() -> None:
            if self._pauses.pop(command, None) is not None:
                self.dispatch(PauseCompleted(command))

        self._pauses[command] = over
        self._timers.add(self._loop.call_later(command.seconds, over))

    def _throttle(self, command: Throttle) -> None:
        changed, self._throttled, self._throttled_since = command.on != self._throttled, command.on, time.monotonic()
        if not changed:
            return  # the client takes bytes, if not enough
        for connection, wire in self.transports.items():
            if connection is not self.client:
                (wire.pause if command.on else wire.resume)()

    def _log(self, command: commands.Log) -> None:
        if command.level >= logging.WARNING:
            logger.log(command.level, "%s", command.message)

    def _ignore(self, command: commands.ConnectionCommand) -> None:
        if command.connection in self.transports:
            raise RuntimeError(f"a command nobody knows: {command!r}")

    # -- hooks ----------------------------------------------------------------------------------------------------------

    def _hook(self, hook: commands.StartHook) -> None:
        if self._inline:
            task = self._spawn(self.handle_hook(hook), "hook")
            if not task.done():
                task.add_done_callback(lambda _task: self._hooked(hook))
            elif hook.blocking:
                self._events.append(events.HookCompleted(hook))
        else:
            task = self._loop.create_task(self.hook_task(hook))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _hooked(self, hook: commands.StartHook) -> None:
        if hook.blocking:
            self.dispatch(events.HookCompleted(hook))

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a coroutine now; it becomes a task only from where it first waits."""
        task = asyncio.Task(coroutine, loop=self._loop, eager_start=True, name=name)
        if not task.done():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    # -- upstreams ------------------------------------------------------------------------------------------------------

    def _open(self, command: commands.OpenConnection) -> None:
        assert command.connection not in self.transports
        self._loop.call_soon(lambda: self._spawn(self.open_connection(command), "open"))

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Dial, and tell the layers how it went."""
        server = command.connection
        about = server_hooks.ServerConnectionHookData(server, self.client)
        await self.handle_hook(server_hooks.ServerConnectHook(about))
        error = server.error
        if not error:
            server.timestamp_start = time.time()
            try:
                wire = await self.dial(server)
            except (OSError, asyncio.CancelledError) as fault:
                error = server.error = str(fault) or type(fault).__name__
        if error or self._gone.done():
            await self.handle_hook(server_hooks.ServerConnectErrorHook(about))
            if self._gone.done() and not error:
                wire.abort()
            self.dispatch(events.OpenConnectionCompleted(command, error or "the client is gone"))
            return
        server.timestamp_tcp_setup = time.time()
        server.state = ConnectionState.OPEN
        server.peername = wire.get_extra_info("peername")
        server.sockname = wire.get_extra_info("sockname")
        self.adopt(server, wire)
        await self.handle_hook(server_hooks.ServerConnectedHook(about))
        self.dispatch(events.OpenConnectionCompleted(command, None))
        if wire.ended and server in self.transports:  # it ended while the hook above waited
            self.wire_ended(wire, lost=wire.is_closing())

    async def dial(self, server: Server) -> Wire:
        """Return a new connection to a server's address.  Raises OSError."""
        assert server.address is not None
        _, wire = await self._loop.create_connection(Wire, *server.address[:2])
        return wire

    def adopt(self, server: Server, wire: Wire) -> None:
        """Make a connection one of this handler's."""
        self.transports[server] = wire
        self._of[wire] = server
        for other in self.transports.values():
            if other.congested and other is not wire:
                wire.pause()
        if self._throttled:
            wire.pause()
        wire.take(self)

    def release(self, server: Server) -> Wire | None:
        """Let go of a connection without closing it; None if it is not one of ours, or not whole any more."""
        wire = self.transports.get(server)
        if wire is None or not wire.is_open or wire.congested or server in self._out:
            return None
        self._forget(server)
        for other in self.transports.values():
            if other.congested:
                wire.resume()
        if self._throttled:
            wire.resume()
        return wire


ACTIONS: dict[type, Callable[[Any, Any], None]] = {
    commands.SendData: Pump._send,
    commands.OpenConnection: Pump._open,
    commands.RequestWakeup: Pump._wake,
    Pause: Pump._pause,
    Throttle: Pump._throttle,
    commands.CloseConnection: Pump._close,
    commands.Log: Pump._log,
}
"""Command -> what it makes the pump do; subclasses are found once and remembered."""

_KINDS: tuple[tuple[type, Callable[[Any, Any], None]], ...] = (
    (commands.StartHook, Pump._hook),
    (commands.SendData, Pump._send),
    (commands.OpenConnection, Pump._open),
    (commands.RequestWakeup, Pump._wake),
    (commands.CloseConnection, Pump._close),
    (commands.Log, Pump._log),
    (commands.ConnectionCommand, Pump._ignore),
)


def _action_for(kind: type) -> Callable[[Any, Any], None]:
    for known, action in _KINDS:
        if issubclass(kind, known):
            ACTIONS[kind] = action
            return action
    raise RuntimeError(f"a command nobody knows: {kind.__name__}")
