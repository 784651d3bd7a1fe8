"""The HTTP layer of one client connection: which stream gets which event, and which upstream connection.

Stock keeps upstream connections per client connection, hands a failed connect to every later request of the client,
gives an HTTP/2 client's requests at most five HTTP/1 connections, each for one request, and never forgets a connection.
Here a connection comes from the process's pool if there is an idle one, serves one request after the other, and is
forgotten when it closes.
"""

import math
import time
from typing import Any, ClassVar

from mitmproxy.connection import Server
from mitmproxy.proxy import commands, events, layer, tunnel
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.http import (
    DropStream,
    GetHttpConnection,
    GetHttpConnectionCompleted,
    Http2Client,
    HttpClient,
    HttpLayer,
    HTTPMode,
    ReceiveHttp,
    RegisterHttpConnection,
    SendHttp,
)
from mitmproxy.proxy.layers.http._events import RequestHeaders

from jupiter_addons.exchange import EXCHANGES
from jupiter_addons.host.commands import Adopt, Clock, Dial, Over, Overdue, ShutDown
from jupiter_addons.host.pool import Upstream
from jupiter_addons.host.state import Host
from jupiter_addons.host.stream import GuardedStream

type Commands = layer.CommandGenerator[Any]


OFFERS = (b"h2", b"http/1.1")
"""What we speak to providers, whatever the client speaks to us (RFC 7301)."""


class GuardedHttpLayer(HttpLayer):
    """The HTTP layer, with the process's pool behind it."""

    host: ClassVar[Host]

    def __init__(self, context: Context, mode: HTTPMode) -> None:
        super().__init__(context, mode)
        self.streams: dict[int, GuardedStream] = {}  # type: ignore[assignment] # ours, under each attempt's id as well
        self.upstreams: dict[Server, Upstream] = {}
        self.clock = Clock()
        self._ticking = False

    def handle_event(self, event: events.Event) -> Commands:
        """Handle an event; this layer never waits for anything itself."""
        return self._handle_event(event)

    def _handle_event(self, event: events.Event) -> Commands:
        if isinstance(event, events.ConnectionEvent):
            connection = event.connection
            handler = self.connections.get(connection)
            if handler is None:
                return  # of a connection that is already forgotten
            yield from self.event_to_child(handler, event)
            if isinstance(event, events.ConnectionClosed) and connection is not self.context.client:
                self._forget(connection)
        elif isinstance(event, events.CommandCompleted):
            source = self.command_sources.pop(event.command, None)
            if source is not None:
                yield from self.event_to_child(source, event)
        elif isinstance(event, Overdue):
            yield from self._overdue(event)
        else:
            yield from super()._handle_event(event)

    def _overdue(self, event: Overdue) -> Commands:
        if event.clock is not self.clock:
            yield from self.event_to_child(self.command_sources[event.clock], event)
            return
        now = time.monotonic()
        for stream in {id(stream): stream for stream in self.streams.values()}.values():
            if event.shutdown and stream.child_layer is None:  # a tunnel's requests hear it from their own layer
                yield from self.event_to_child(stream, ShutDown())
            elif not event.shutdown and stream.deadline <= now:
                yield from self.event_to_child(stream, event)
        self.clock.at = min((stream.deadline for stream in self.streams.values()), default=math.inf)

    def event_to_child(self, child: Any, event: events.Event) -> Commands:
        """Give a child an event, and route what it asks for."""
        for command in child.handle_event(event):
            route = _ROUTES.get(command.__class__)
            if route is not None:
                yield from route(self, child, command)
            else:
                if command.blocking or isinstance(command, (commands.RequestWakeup, Clock)):
                    self.command_sources[command] = child
                yield command

    def make_stream(self, stream_id: int) -> Commands:
        """Make the stream of a new request."""
        if not self._ticking:
            self._ticking = True
            yield self.clock
        context = Context.__new__(Context)  # as `fork`, which makes a connection object only to throw it away
        context.client, context.options, context.server = self.context.client, self.context.options, self.context.server
        context.layers = self.context.layers.copy()
        stream = self.streams[stream_id] = GuardedStream(context, stream_id)
        stream.http_layer = self
        yield from self.event_to_child(stream, events.Start())

    # -- where commands of children go ----------------------------------------------------------------------------------

    def _receive(self, _child: Any, command: ReceiveHttp) -> Commands:
        event = command.event
        if isinstance(event, RequestHeaders):
            yield from self.make_stream(event.stream_id)
        stream = self.streams.get(event.stream_id)
        if stream is not None:  # else of an attempt that was given up, or a request that is over
            yield from self.event_to_child(stream, event)

    def _send(self, _child: Any, command: SendHttp) -> Commands:
        connection = self.connections.get(command.connection)
        if connection is not None:
            yield from self.event_to_child(connection, command.event)

    def _drop(self, _child: Any, command: DropStream) -> Commands:
        stream: Any = self.streams.pop(command.stream_id, None)
        if stream is None:
            return
        if stream.attempt_id is not None:
            self.streams.pop(stream.attempt_id, None)
        x = EXCHANGES.get(stream.flow) if hasattr(stream, "flow") else None
        if x is not None:
            yield Over(x)

    def _get(self, child: Any, command: GetHttpConnection) -> Commands:
        self.command_sources[command] = child
        yield from self.get_connection(command)

    def _register(self, _child: Any, command: RegisterHttpConnection) -> Commands:
        yield from self.register_connection(command)

    def _open(self, child: Any, command: commands.OpenConnection) -> Commands:
        self.command_sources[command] = child
        self.connections[command.connection] = child
        yield command

    def _adopt(self, child: Any, command: Adopt) -> Commands:
        self.connections[command.connection] = child
        yield command

    # -- upstream connections -------------------------------------------------------------------------------------------

    def get_connection(self, event: GetHttpConnection, *, reuse: bool = True) -> Commands:
        """Find a connection for a request: one of ours, one from the pool, or a new one."""
        key = (event.address, event.tls, event.address[0] if event.tls else None)
        fresh = isinstance(event, Dial) and event.fresh
        if isinstance(event, Dial) and event.replaces:
            yield from self._retire(key)
        for upstream in () if fresh else self.upstreams.values():
            if upstream.key == key:
                if upstream.server in self.waiting_for_establishment:
                    if self.host.speaks_http2(key):
                        self.waiting_for_establishment[upstream.server].append(event)
                        return
                elif upstream.can_take:
                    yield from self._granted(event, upstream)
                    return
        found = None if fresh else self.host.pool.take(key)
        if found is not None:
            upstream, wire = found
            self._attach(upstream)
            yield Adopt(upstream.server, wire)
            yield from self._granted(event, upstream)
            return
        upstream = self._new(event, key)
        self.waiting_for_establishment[upstream.server].append(event)
        yield from self.event_to_child(upstream.top, events.Start())

    def _retire(self, key: Any) -> Commands:
        """Close an idle connection for the new one that was asked for, so that asking for new ones does not pile them up."""
        own = next((upstream for upstream in self.upstreams.values() if upstream.key == key and upstream.is_idle), None)
        if own is not None:
            yield commands.CloseConnection(own.server)
        else:
            self.host.pool.retire(key)

    def _granted(self, event: GetHttpConnection, upstream: Upstream) -> Commands:
        upstream.served += 1
        stream = self.command_sources.pop(event)
        yield from self.event_to_child(stream, GetHttpConnectionCompleted(event, (upstream.server, None)))

    def _new(self, event: GetHttpConnection, key: Any) -> Upstream:
        context = self.context.fork()
        context.server = Server(address=event.address, transport_protocol="tcp")
        stack = tunnel.LayerStack()
        if event.tls:
            context.server.sni = event.address[0]
            context.server.alpn_offers = OFFERS
            stack /= tls.ServerTLSLayer(context)
        client = HttpClient(context)
        stack /= client
        upstream = Upstream(key, context.server, stack[0], client)
        self.host.pool.use(upstream)
        self._attach(upstream)
        return upstream

    def _attach(self, upstream: Upstream) -> None:
        """Put a connection's layers under this one."""
        upstream.holder = self
        context = upstream.client.context
        own = context.layers[context.layers.index(upstream.top) :]
        context.client = self.context.client
        context.layers[:] = [*self.context.layers, *own]
        self.upstreams[upstream.server] = upstream
        self.connections[upstream.server] = upstream.top

    def _forget(self, connection: Any) -> None:
        self.connections.pop(connection, None)
        upstream = self.upstreams.pop(connection, None)
        if upstream is not None:
            upstream.holder = None
            self.host.pool.drop(upstream)

    def detach(self, upstream: Upstream) -> None:
        """Let go of an idle connection that goes back to the pool."""
        for above in self.context.layers:
            if isinstance(above, HttpLayer):  # in a tunnel there are two
                above.connections.pop(upstream.server, None)
        self.upstreams.pop(upstream.server, None)
        upstream.holder = None
        layers = upstream.client.context.layers
        del layers[: layers.index(upstream.top)]  # it must not keep what held it

    def register_connection(self, command: RegisterHttpConnection) -> Commands:
        """A connection stands, or could not be had: tell who waited for it."""
        waiting = self.waiting_for_establishment.pop(command.connection, [])
        upstream = self.upstreams.get(command.connection)  # type: ignore[call-overload] # only servers are registered
        if command.err or upstream is None:
            self._forget(command.connection)
            for event in waiting:
                stream = self.command_sources.pop(event)
                reply = (None, command.err or "the connection was closed")
                yield from self.event_to_child(stream, GetHttpConnectionCompleted(event, reply))
            return
        self.host.note_http2(upstream.key, isinstance(upstream.http, Http2Client))
        for event in waiting:
            if upstream.can_take:
                yield from self._granted(event, upstream)
            else:
                yield from self.get_connection(event)


_ROUTES: dict[type, Any] = {
    Dial: GuardedHttpLayer._get,
    ReceiveHttp: GuardedHttpLayer._receive,
    SendHttp: GuardedHttpLayer._send,
    DropStream: GuardedHttpLayer._drop,
    GetHttpConnection: GuardedHttpLayer._get,
    RegisterHttpConnection: GuardedHttpLayer._register,
    commands.OpenConnection: GuardedHttpLayer._open,
    Adopt: GuardedHttpLayer._adopt,
}
