"""The guard: whatever happens inside the addon chain, nothing passes without a verdict.

mitmproxy fails open by design: it logs an addon's exception and forwards the request; a deleted or broken script simply
leaves the chain.  The guard is the connection handler itself, outside that chain, and looks at each flow after the
chain has run:

* a request without a permit for exactly these bytes to exactly this place is answered 503;
* a CONNECT without a grant is answered 503;
* an answer that the reply stage has not opened is not delivered;
* an exchange that its stages have not settled and recorded is closed here, or its answer is withheld.

It also owns the last net below all layers: no address is dialled that no permit names.
"""

import asyncio
import dataclasses
import gc
import logging
import time
from typing import Any
from weakref import WeakKeyDictionary

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Client, Connection, Server
from mitmproxy.proxy import commands, server_hooks
from mitmproxy.proxy.layers.http import (
    HttpConnectHook,
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from jupiter_addons.errors import Refusal, StoreError
from jupiter_addons.exchange import CONNECTS, EXCHANGES, Exchange, Permit
from jupiter_addons.host.answers import bare_refusal, refusal_response
from jupiter_addons.host.commands import Adopt, Clock, Over, Overdue
from jupiter_addons.host.dialling import dial, dial_public, in_time
from jupiter_addons.host.listener import TOO_MANY
from jupiter_addons.host.permits import GATEWAY_FAULT, NO_EVIDENCE, NOT_READY, OVERLOADED, is_permitted
from jupiter_addons.host.pump import ACTIONS, Pump
from jupiter_addons.host.upstream import UpstreamAttemptFailedHook
from jupiter_addons.host.wire import Wire

logger = logging.getLogger(__name__)

QUIET_S = 1.0
"""After so long without an event a client connection holds on to no upstream connection."""

LEFT_BYTES = 32 * 1024 * 1024
"""So much of the bodies of requests that are over may wait for the collector, which by itself counts objects and not bytes."""

TUNNEL_IDLE_S = 3600.0
"""After so long without a byte in either direction a blind tunnel is closed."""

_DIALS: WeakKeyDictionary[Client, dict[tuple[str, int], Permit | None]] = WeakKeyDictionary()
"""Client connection -> the addresses it may dial: with the permit that names one, or None for a blind tunnel's."""


class GuardedHandler(Pump):
    """One client connection, under guard."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.clocks: list[Clock] = []
        self.live: set[Exchange] = set()
        """The exchanges of this connection that have begun and not ended."""
        self._head_timer: asyncio.TimerHandle | None = None

    async def handle_client(self) -> None:
        """Serve the connection, unless there are too many or no request head comes in time."""
        host, address = self.host, self.client.peername[0]
        if not isinstance(self.transports[self.client], Wire):
            self._turn_away(NOT_READY)  # under `mitmdump -s`: came in on the stock listener, before ours was there
            return
        if not host.has_room_for(address):
            self._turn_away(TOO_MANY)
            return
        host.comes(self, address)
        self._await_head()
        try:
            await super().handle_client()
        finally:
            self._head_came()
            host.ended += 1
            host.goes(self, address)
            host.ticker.remove(self)

    def _await_head(self) -> None:
        late = self.host.limits.header_timeout_s
        self._head_timer = self._loop.call_later(late, self.cancel, "no request head in time")

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _turn_away(self, refusal: Refusal) -> None:
        del self.transports[self.client]
        answer = bare_refusal("openai", refusal)
        self._writer.write([answer] if isinstance(self._writer, Wire) else answer)
        self._writer.close()

    def tend(self) -> None:
        """Give back what the connection does not need just now; drop it if its client takes nothing."""
        wire = self.transports.get(self.client)
        if wire is None:
            return
        limits, quiet_s = self.host.limits, time.monotonic() - self.last_activity
        throttled_s = time.monotonic() - self._throttled_since if self._throttled else 0.0
        if wire.is_stuck(limits.write_timeout_s) or throttled_s > limits.write_timeout_s:
            self.cancel("the client takes no bytes")
        elif not self.live and quiet_s > (TUNNEL_IDLE_S if self._is_tunnel else limits.keep_alive_s):
            self.cancel("idle")
        elif quiet_s > QUIET_S:
            for connection in list(self.transports):
                if connection is not self.client:
                    self._give_back(connection)

    def end_all(self) -> None:
        """End every exchange of this connection, with an error that its client can read."""
        for clock in self.clocks:
            self.dispatch(Overdue(clock, shutdown=True))

    def leave_behind(self, body_bytes: int) -> None:
        """A request is over that had so large a body: its stream holds on to itself, and with it to the body."""
        host = self.host
        host.left_bytes += body_bytes
        if host.left_bytes > LEFT_BYTES and host.speed.tuned_collector:
            host.left_bytes = 0
            self._loop.call_soon(gc.collect)  # not now: the stream is still at work

    @property
    def is_idle(self) -> bool:
        """Whether nothing is lost when the client connection is closed now."""
        return not self.live and not self._is_tunnel

    @property
    def _is_tunnel(self) -> bool:
        connect = CONNECTS.get(self.client)
        return connect is not None and connect.provider is None

    # -- upstream connections -------------------------------------------------------------------------------------------

    async def dial(self, server: Server) -> Wire:
        """Dial, if a permit or a tunnel of this connection names the address.  Raises OSError."""
        address = server.address
        dials = _DIALS.get(self.client, {})
        if address not in dials:
            logger.error("refused to dial an address without a permit")
            raise OSError("no permit")
        permit = dials[address]
        if permit is None:
            return await dial_public(address, private=self.host.private_tunnels)
        timeouts = permit.timeouts
        try:
            wire = await in_time(timeouts.connect, self._dial(address, permit.max_connections))
        except TimeoutError as late:
            raise OSError("the connection could not be made in time") from late
        if server.tls:
            self._timers.add(self._loop.call_later(timeouts.tls, self._no_handshake, server))
        return wire

    async def _dial(self, address: tuple[str, int], most: int) -> Wire:
        freed = await self.host.pool.place(address, most)
        return await dial(address, freed)

    def _no_handshake(self, server: Server) -> None:
        if not server.tls_established and server in self.transports:
            self.close_connection(server)

    def adopt(self, server: Server, wire: Wire) -> None:
        """Make a connection one of this handler's."""
        upstream = self.host.pool.using(server)
        if upstream is not None:
            upstream.handler = self
        super().adopt(server, wire)

    def let_go(self, connection: Connection) -> None:
        """The client is gone: a connection that is fit for another request goes to the pool."""
        if not self._give_back(connection):
            self.close_connection(connection)

    def _give_back(self, connection: Connection) -> bool:
        upstream = self.host.pool.using(connection)
        if upstream is None or not upstream.is_idle or upstream.holder is None:
            return False
        wire = self.release(upstream.server)
        if wire is None:
            return False
        upstream.holder.detach(upstream)
        self.host.pool.give(upstream, wire)
        return True

    # -- hooks ----------------------------------------------------------------------------------------------------------

    async def handle_hook(self, hook: commands.StartHook) -> None:
        """Run the chain for one hook, then look at what it left behind."""
        if isinstance(hook, (HttpRequestHeadersHook, HttpConnectHook)):
            self._admit(hook.flow)
        fault: BaseException | None = None
        try:
            await self._ask(hook)
        except BaseException as error:  # SystemExit and CancelledError of an addon must not open the gate
            if isinstance(error, asyncio.CancelledError) and self._is_shutdown(hook):
                raise
            fault = error
            self._note(hook.name, error)
        if isinstance(hook, server_hooks.ClientConnectedHook) and fault is not None:
            self.client.error = "refused by the guard"
        elif isinstance(hook, server_hooks.ServerConnectHook) and fault is not None:
            hook.data.server.error = "refused by the guard"
        else:
            await self._judge(hook, fault)

    async def _ask(self, hook: commands.StartHook) -> None:
        await self.master.addons.handle_lifecycle(hook)
        flow = getattr(hook, "flow", None)
        if flow is not None and flow.intercepted:
            await flow.wait_for_resume()

    def _is_shutdown(self, hook: commands.StartHook) -> bool:
        """Tell a real cancellation from a CancelledError that an addon let slip; only the loop's end cancels a flow's hook."""
        if not isinstance(hook.args()[0], mitmflow.Flow):
            return True
        task = asyncio.current_task()
        if task is not None and task.cancelling() and not self.master.should_exit.is_set():
            task.uncancel()
            return False
        return self.master.should_exit.is_set()

    def _admit(self, flow: http.HTTPFlow) -> None:
        self._head_came()
        x = EXCHANGES.get(flow)
        if x is None or flow.response is not None:
            return
        if self.host.close is None or self.host.draining:
            x.refuse(NOT_READY)
        elif x.endpoint is not None and self.host.is_full:
            x.refuse(OVERLOADED)
        else:
            if x.endpoint is not None:  # a probe is answered even now
                self.host.live.add(x)
                self.live.add(x)
            return
        assert x.refusal is not None
        flow.response = refusal_response(x, x.refusal)

    async def _judge(self, hook: commands.StartHook, fault: BaseException | None) -> None:
        match hook:
            case HttpRequestHeadersHook(flow=flow):
                flow.request.stream = False  # a body that is not read cannot be decided on
                if fault is not None and flow.response is None:
                    _refuse(flow)
            case HttpRequestHook(flow=flow):
                if flow.response is None and flow.error is None:
                    self._require_permit(flow)
            case HttpConnectHook(flow=flow):
                if flow.response is None:
                    self._require_grant(flow)
            case UpstreamAttemptFailedHook(attempt=attempt):
                if fault is not None:
                    attempt.retry = False
                if attempt.retry:
                    self._allow_dial(attempt.flow)
            case HttpResponseHeadersHook(flow=flow):
                x = EXCHANGES.get(flow)
                if x is not None and x.refusal is None and x.filled("permit") and not x.opened:
                    _refuse(flow)
            case HttpResponseHook(flow=flow) | HttpErrorHook(flow=flow):
                await self._close_exchange(flow)

    def _require_permit(self, flow: http.HTTPFlow) -> None:
        if is_permitted(flow):
            self._allow_dial(flow)
        else:
            _refuse(flow)

    def _allow_dial(self, flow: http.HTTPFlow) -> None:
        if is_permitted(flow):
            # Without the body: connections in the pool remember who used them last.
            permit = dataclasses.replace(EXCHANGES[flow].permit, body=b"")
            _DIALS.setdefault(self.client, {})[flow.request.host, flow.request.port] = permit

    def _require_grant(self, flow: http.HTTPFlow) -> None:
        connect = CONNECTS.get(flow.client_conn)
        if connect is None or (connect.host, connect.port) != (flow.request.host, flow.request.port):
            CONNECTS.pop(flow.client_conn, None)
            _refuse(flow)
        elif connect.provider is None:
            _DIALS.setdefault(self.client, {})[connect.host, connect.port] = None
        else:
            self._await_head()  # of the first request inside, after a handshake

    async def _close_exchange(self, flow: http.HTTPFlow) -> None:
        x = EXCHANGES.get(flow)
        if x is None or not x.owes:
            return
        if x.refusal is None and not x.client_closed:
            x.refuse(GATEWAY_FAULT)  # a stage that should have closed it has failed; who knows what else it left undone
        try:
            if self.host.close is None:
                raise StoreError("no chain is in place")
            await self.host.close(flow, x)
        except BaseException as error:  # as above: whatever it is, the answer must not be delivered
            if isinstance(error, asyncio.CancelledError) and self.master.should_exit.is_set():
                raise
            self._note("close", error)
            x.refuse(NO_EVIDENCE if isinstance(error, StoreError) else GATEWAY_FAULT)
        if x.refusal is not None:
            flow.response = refusal_response(x, x.refusal)

    def _note(self, where: str, error: BaseException) -> None:
        logger.error("guard: `%s` failed: %r", where, error, exc_info=error)
        if self.host.fault is not None:
            self.host.fault(where, error)


def _refuse(flow: http.HTTPFlow) -> None:
    x = EXCHANGES.get(flow)
    if x is None:  # the stream attaches an Exchange before the first hook; without one there is nobody to answer
        flow.kill()
        return
    if x.refusal is None:
        x.refuse(GATEWAY_FAULT)
    assert x.refusal is not None
    flow.response = refusal_response(x, x.refusal)


def _start_clock(handler: GuardedHandler, clock: Clock) -> None:
    handler.clocks.append(clock)
    handler.host.ticker.add(clock, handler)


def _adopt(handler: GuardedHandler, command: Adopt) -> None:
    handler.adopt(command.connection, command.wire)


def _end(handler: GuardedHandler, command: Over) -> None:
    handler.live.discard(command.x)
    handler.host.live.discard(command.x)
    handler.leave_behind(command.x.buffered_bytes)


ACTIONS[Clock] = _start_clock
ACTIONS[Over] = _end
ACTIONS[Adopt] = _adopt
