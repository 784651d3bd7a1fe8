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
import collections
import logging
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from mitmproxy import flow as mitmflow
from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events, mode_servers, server_hooks
from mitmproxy.proxy.layers.http import (
    HttpConnectHook,
    HttpErrorHook,
    HttpRequestHeadersHook,
    HttpRequestHook,
    HttpResponseHeadersHook,
    HttpResponseHook,
)

from jupiter_addons.errors import Refusal, StoreError
from jupiter_addons.exchange import CONNECTS, EXCHANGES
from jupiter_addons.host.answers import bare_refusal, refusal_response
from jupiter_addons.host.state import Host

logger = logging.getLogger(__name__)

GATEWAY_FAULT = Refusal("gateway_fault", "the gateway could not decide this request and refused it", retry_after_s=1)
NOT_READY = Refusal("not_ready", "the gateway is not ready", retry_after_s=1)
OVERLOADED = Refusal("overloaded", "too many requests are in flight", retry_after_s=1)
NO_EVIDENCE = Refusal("evidence_unavailable", "the evidence store cannot be written", retry_after_s=5)

_DIALS: WeakKeyDictionary[Client, set[tuple[str, int]]] = WeakKeyDictionary()
"""Client connection -> the addresses that permits and tunnels of this connection name."""


class GuardedHandler(mode_servers.ProxyConnectionHandler):
    """One client connection, under guard."""

    host: ClassVar[Host]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call] # mitmproxy's own has no annotations
        # Stock allows five connections per upstream and client, held for their lifetime: a sixth HTTP/2 stream waits for ever.
        self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(1_000_000))
        self._head_timer: asyncio.TimerHandle | None = None

    async def handle_client(self) -> None:
        """Serve the connection, unless there are too many or no request head comes in time."""
        if self.host.connections >= self.host.limits.connections:
            self._turn_away()
            return
        self.host.connections += 1
        timeout_s = self.host.limits.header_timeout_s
        self._head_timer = asyncio.get_running_loop().call_later(timeout_s, self._no_head)
        try:
            await super().handle_client()
        finally:
            self.host.connections -= 1
            self._head_timer.cancel()

    def _turn_away(self) -> None:
        writer = self.transports.pop(self.client).writer
        assert writer is not None
        writer.write(bare_refusal("openai", Refusal("overloaded", "too many connections", retry_after_s=1)))
        writer.close()

    def _no_head(self) -> None:
        io = self.transports.get(self.client)
        if io is not None and io.handler is not None:
            io.handler.cancel("no request head in time")

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Dial, if a permit or a tunnel of this connection names the address."""
        if command.connection.address not in _DIALS.get(self.client, ()):
            logger.error("refused to dial an address without a permit")
            command.connection.error = "no permit"
            # The command that asked is still being processed; its answer must come after it.
            await asyncio.sleep(0)
            self.transports.pop(command.connection, None)
            await self.server_event(events.OpenConnectionCompleted(command, "no permit"))
            return
        await super().open_connection(command)

    async def handle_hook(self, hook: commands.StartHook) -> None:
        """Run the chain for one hook, then look at what it left behind."""
        if isinstance(hook, (HttpRequestHeadersHook, HttpConnectHook)):
            self._admit(hook.flow)
        fault: BaseException | None = None
        try:
            await super().handle_hook(hook)
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
        if self._head_timer is not None:
            self._head_timer.cancel()
        x = EXCHANGES.get(flow)
        if x is None or flow.response is not None:
            return
        if self.host.close is None or self.host.draining:
            x.refuse(NOT_READY)
        elif len(self.host.live) >= self.host.limits.in_flight:
            x.refuse(OVERLOADED)
        else:
            self.host.live.add(x)
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
                if (x := EXCHANGES.get(flow)) is not None:
                    self.host.live.discard(x)  # what passes through the tunnel counts for itself
            case HttpResponseHeadersHook(flow=flow):
                x = EXCHANGES.get(flow)
                if x is not None and x.refusal is None and x.filled("permit") and not x.opened:
                    _refuse(flow)
            case HttpResponseHook(flow=flow) | HttpErrorHook(flow=flow):
                await self._close(flow)

    def _require_permit(self, flow: http.HTTPFlow) -> None:
        if is_permitted(flow):
            _DIALS.setdefault(self.client, set()).add((flow.request.host, flow.request.port))
        else:
            _refuse(flow)

    def _require_grant(self, flow: http.HTTPFlow) -> None:
        connect = CONNECTS.get(flow.client_conn)
        if connect is None or (connect.host, connect.port) != (flow.request.host, flow.request.port):
            CONNECTS.pop(flow.client_conn, None)
            _refuse(flow)
        elif connect.provider is None:
            _DIALS.setdefault(self.client, set()).add((connect.host, connect.port))

    async def _close(self, flow: http.HTTPFlow) -> None:
        x = EXCHANGES.get(flow)
        if x is None:
            return
        self.host.live.discard(x)
        if not x.owes:
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


def is_permitted(flow: http.HTTPFlow) -> bool:
    """Whether the request, as it stands now, is the one whose decision is durable."""
    x = EXCHANGES.get(flow)
    if x is None or x.refusal is not None or not x.filled("permit"):
        return False
    permit, request = x.permit, flow.request
    return (
        (request.scheme, request.host, request.port) == (permit.scheme, permit.host, permit.port)
        and (request.raw_content or b"") == permit.body
        and not request.trailers
    )


def _refuse(flow: http.HTTPFlow) -> None:
    x = EXCHANGES.get(flow)
    if x is None:  # the stream attaches an Exchange before the first hook; without one there is nobody to answer
        flow.kill()
        return
    if x.refusal is None:
        x.refuse(GATEWAY_FAULT)
    assert x.refusal is not None
    flow.response = refusal_response(x, x.refusal)
