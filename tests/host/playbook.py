"""A conversation with the host's HTTP layer, without a socket, a task or a clock of its own.

`Playbook` gives `GuardedHttpLayer` events and carries out what comes back as a connection handler would: a completion is
handled only once the layers have come to rest, a closed connection is told as closed.  Whatever can be waited for (hooks,
dialling, pauses, deadlines) is answered at once, or held until the test says so.  `Chain` stands for the stages.

Time is the playbook's: while it feeds an event, `time.monotonic` returns `now`, which only `advance` moves.

Three things are checked at every step, whatever the test is about: nothing goes upstream that the permit in force does not
name, nothing is written to a connection that is closed, and no exchange is settled twice.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import fields
from typing import Any
from unittest import mock

from mitmproxy import connection, options
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import ConnectionState, Server
from mitmproxy.http import HTTPFlow
from mitmproxy.proxy import commands, context, events
from mitmproxy.proxy.layers.http import HTTPMode

from jupiter_addons.exchange import EXCHANGES, Exchange, Permit
from jupiter_addons.host import seams
from jupiter_addons.host.clock import TICK_S
from jupiter_addons.host.commands import Clock, Overdue, Pause, PauseCompleted
from jupiter_addons.host.http_layer import GuardedHttpLayer
from jupiter_addons.host.pump import ACTIONS
from jupiter_addons.host.state import EdgeLimits, Host
from jupiter_addons.host.upstream import Attempt, is_event_stream
from jupiter_addons.routing.provider import Timeouts
from jupiter_addons.stages.relay import EventRelay

HOST = Host()
"""The one that the layers share; each playbook fills it anew."""
seams.install(HOST)

BODY = b'{"model":"m","messages":[]}'


def post(path: str = "/v1/chat/completions", body: bytes = BODY, headers: str = "") -> bytes:
    """Return a request of a client."""
    return f"POST {path} HTTP/1.1\r\nHost: gateway\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Chain:
    """What the stages would do: permit, open, relay and, after a failure, name the next of `targets`."""

    def __init__(self, *targets: str, timeouts: Timeouts | None = None, delay_s: float = 0.0) -> None:
        self.targets = deque(targets or ("a.test", "b.test", "c.test"))
        self.timeouts = timeouts or Timeouts()
        self.delay_s = delay_s
        self.permits: list[Permit] = []
        self.failed: list[Attempt] = []

    def request(self, flow: HTTPFlow) -> None:
        """Permit the first target."""
        self.send_to(flow, self.targets.popleft())

    def send_to(self, flow: HTTPFlow, target: str) -> None:
        """Point the request at a target and permit that; each target gets a path of its own."""
        request, body = flow.request, flow.request.raw_content or b""
        request.scheme, request.host, request.port, request.path = "http", target, 80, f"/of/{target}"
        if "transfer-encoding" in request.headers:  # a body that is known is sent whole
            del request.headers["transfer-encoding"]
            request.headers["content-length"] = str(len(body))
        permit = Permit("http", target, 80, body, self.timeouts)
        EXCHANGES[flow].permit = permit
        self.permits.append(permit)

    def upstream_attempt_failed(self, attempt: Attempt) -> None:
        """Name the next target, while there are any."""
        self.failed.append(attempt)
        if self.targets:
            self.send_to(attempt.flow, self.targets.popleft())
            attempt.retry, attempt.delay_s = True, self.delay_s
        else:
            attempt.give_up()

    def responseheaders(self, flow: HTTPFlow) -> None:
        """Let the answer pass; an event stream through the relay that the gateway itself uses."""
        x, response = EXCHANGES[flow], flow.response
        assert response is not None
        response.headers.pop("connection", None)  # that is between the provider and us
        if is_event_stream(response):
            x.relay = self.relay(x)
            response.headers.pop("content-length", None)
            response.headers["transfer-encoding"] = "chunked"
        x.opened = True

    def relay(self, x: Exchange) -> Any:
        """Return what passes a stream's events on."""
        return EventRelay(x.dialect or "openai_chat", x.family)

    def response(self, flow: HTTPFlow) -> None:
        """Settle and record."""
        EXCHANGES[flow].settled = EXCHANGES[flow].recorded = True

    def error(self, flow: HTTPFlow) -> None:
        """Settle and record."""
        EXCHANGES[flow].settled = EXCHANGES[flow].recorded = True


class AlwaysRetry(Chain):
    """A chain that names a new target for ever, whatever has become of the call."""

    def upstream_attempt_failed(self, attempt: Attempt) -> None:
        """Go on, always."""
        self.failed.append(attempt)
        self.send_to(attempt.flow, f"t{len(self.failed)}.test")
        attempt.retry, attempt.delay_s = True, self.delay_s


class Playbook:
    """One client connection."""

    def __init__(
        self, chain: Chain | None = None, *, limits: EdgeLimits | None = None, holding: Iterable[str] = ()
    ) -> None:
        """`holding` names the hooks, and `open`, that are not answered before `release`."""
        fresh = Host(limits=limits or EdgeLimits())
        for field in fields(Host):
            setattr(HOST, field.name, getattr(fresh, field.name))
        self.chain, self.holding = chain or Chain(), set(holding)
        self.now = 1000.0
        self.hooks: list[str] = []
        self.upstreams: list[Server] = []
        """Every connection that was dialled, in order."""
        self.refusing: set[str] = set()
        """Hosts that cannot be connected to."""
        self.held: deque[commands.Command] = deque()
        self.paused: list[float] = []
        """Every pause that was asked for."""
        self.sent: dict[connection.Connection, bytearray] = {}
        self.flow: HTTPFlow | None = None
        self.ends: Counter[str] = Counter()
        """Flow -> how often it was settled."""
        self.echo_closing = True
        """Whether a connection that the layers close is told as closed at once."""
        self.unclosed: list[connection.Connection] = []
        self._timers: list[tuple[float, commands.Command]] = []
        self._clocks: list[Clock] = []
        self._looked = 0.0
        opts = options.Options()
        Proxyserver().load(opts)
        self.client = connection.Client(
            peername=("192.0.2.1", 1234), sockname=("127.0.0.1", 8080), timestamp_start=1, state=ConnectionState.OPEN
        )
        self.layer = GuardedHttpLayer(context.Context(self.client, opts), HTTPMode.regular)
        self.feed(events.Start())

    # -- what happens ---------------------------------------------------------------------------------------------------

    def client_says(self, data: bytes) -> None:
        """Bytes arrive from the client, as far as it is still read."""
        if self.client.state & ConnectionState.CAN_READ:
            self.feed(events.DataReceived(self.client, data))

    def client_leaves(self, *, half: bool = False) -> None:
        """The client's connection ends; `half` leaves it readable for the client."""
        self._leave(self.client, half=half)

    def upstream_says(self, number: int, data: bytes) -> None:
        """Bytes arrive on the connection that was dialled as the `number`-th, even if it has been given up."""
        self.feed(events.DataReceived(self.upstreams[number], data))

    def upstream_leaves(self, number: int) -> None:
        """A provider's connection ends."""
        self._leave(self.upstreams[number], half=False)

    def advance(self, seconds: float) -> None:
        """Let time pass: deadlines, timers and pauses that fall due are told of it."""
        until = self.now + seconds
        while (due := self._next_due()) <= until:
            self.now = max(self.now, due)
            for clock in [clock for clock in self._clocks if clock.at <= self.now]:
                self._looked, clock.at = self.now, math.inf
                self.feed(Overdue(clock))
            ready = [command for at, command in self._timers if at <= self.now]
            self._timers = [(at, command) for at, command in self._timers if at > self.now]
            for command in ready:
                self.feed(PauseCompleted(command) if isinstance(command, Pause) else events.Wakeup(command))
        self.now = until

    def sit_out(self) -> None:
        """Let time pass until no pause is running."""
        while pauses := [at for at, command in self._timers if isinstance(command, Pause)]:
            self.advance(min(pauses) - self.now)

    def _next_due(self) -> float:
        timers = [at for at, _ in self._timers]
        return min([*timers, *(max(clock.at, self._looked + TICK_S) for clock in self._clocks)], default=math.inf)

    def release(self, *, error: str | None = None) -> None:
        """Answer what has been held the longest; `error` is how dialling went."""
        command = self.held.popleft()
        self.feed(self._completed(command, error))

    def tell_closed(self) -> None:
        """Tell of a connection that the layers have closed."""
        self.feed(events.ConnectionClosed(self.unclosed.pop(0)))

    # -- what came of it ------------------------------------------------------------------------------------------------

    @property
    def client_saw(self) -> bytes:
        """Everything that was written to the client."""
        return bytes(self.sent.get(self.client, b""))

    def upstream_saw(self, number: int) -> bytes:
        """Everything that was written to the connection that was dialled as the `number`-th."""
        return bytes(self.sent.get(self.upstreams[number], b""))

    @property
    def asked(self) -> list[str]:
        """Why the chain was asked for another target, each time."""
        return [attempt.failure.reason for attempt in self.chain.failed]

    @property
    def settled(self) -> int:
        """How many exchanges have been settled."""
        return self.ends.total()

    @property
    def exchange(self) -> Exchange:
        """The exchange of the latest request."""
        assert self.flow is not None
        return EXCHANGES[self.flow]

    @property
    def client_is_open(self) -> bool:
        """Whether the client's connection is kept."""
        return self.client.state is ConnectionState.OPEN

    # -- how a handler does it ------------------------------------------------------------------------------------------

    def feed(self, event: events.Event) -> None:
        """Give the layers an event, then all that follows from it."""
        queue = deque([event])
        with mock.patch.object(time, "monotonic", self._time):
            while queue:
                for command in self.layer.handle_event(queue.popleft()):
                    queue.extend(self._act(command))

    def _time(self) -> float:
        return self.now

    def _act(self, command: commands.Command) -> list[events.Event]:
        match command:
            case commands.StartHook() | commands.OpenConnection():
                return self._ask(command)
            case commands.SendData(connection=peer, data=data):
                assert peer.state & ConnectionState.CAN_WRITE, f"written to a closed connection: {data!r}"
                if peer is not self.client:
                    self._check_permit(peer)
                self.sent.setdefault(peer, bytearray()).extend(data)
            case commands.CloseConnection(connection=peer):
                return self._close(peer, half=getattr(command, "half_close", False))
            case Clock():
                self._clocks.append(command)
            case Pause(seconds=seconds):
                self.paused.append(seconds)
                self._timers.append((self.now + seconds, command))
            case commands.RequestWakeup(delay=delay):
                self._timers.append((self.now + delay, command))
            case _:  # means nothing to a conversation, but must mean something to the handler
                assert command.__class__ in ACTIONS, f"not a handler's command: {command!r}"
        return []

    def _ask(self, command: commands.StartHook | commands.OpenConnection) -> list[events.Event]:
        name = "open" if isinstance(command, commands.OpenConnection) else command.name
        if isinstance(command, commands.OpenConnection):
            self.upstreams.append(command.connection)
        else:
            self._note(command)
        if name in self.holding:
            self.held.append(command)
            return []
        completed = self._completed(command, None)
        return [completed] if command.blocking else []

    def _note(self, hook: commands.StartHook) -> None:
        self.hooks.append(hook.name)
        subject = hook.args()[0]
        if isinstance(subject, HTTPFlow):
            self.flow = subject
            if hook.name in ("response", "error"):
                self.ends[subject.id] += 1
                assert self.ends[subject.id] == 1, "an exchange was settled twice"

    def _completed(self, command: commands.Command, error: str | None) -> events.Event:
        if isinstance(command, commands.OpenConnection):
            server = command.connection
            assert server.address is not None
            if error is None and server.address[0] in self.refusing:
                error = "refused"
            if error is None:
                server.state, server.timestamp_start = ConnectionState.OPEN, 1
            return events.OpenConnectionCompleted(command, error)
        assert isinstance(command, commands.StartHook)
        answer = getattr(self.chain, command.name, None)
        if answer is not None:
            answer(*command.args())
        return events.HookCompleted(command)

    def _leave(self, peer: connection.Connection, *, half: bool) -> None:
        told = not peer.state & ConnectionState.CAN_READ
        peer.state = peer.state & ~ConnectionState.CAN_READ if half else ConnectionState.CLOSED
        if not told:
            self.feed(events.ConnectionClosed(peer))

    def _close(self, peer: connection.Connection, *, half: bool) -> list[events.Event]:
        told = not peer.state & ConnectionState.CAN_READ
        if half:
            peer.state &= ~ConnectionState.CAN_WRITE
            return []
        peer.state = ConnectionState.CLOSED
        if told:
            return []
        if not self.echo_closing:
            self.unclosed.append(peer)
            return []
        return [events.ConnectionClosed(peer)]

    def _check_permit(self, peer: connection.Connection) -> None:
        x = self.exchange
        assert x.filled("permit"), "sent without a permit"
        assert x.refusal is None, f"sent although refused: {x.refusal}"
        assert peer.address == (x.permit.host, x.permit.port), f"sent to {peer.address}, permitted was {x.permit}"
