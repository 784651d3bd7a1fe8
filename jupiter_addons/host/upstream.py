"""The upstream half of a request: one attempt after the other, until an answer is there to be delivered.

Each attempt has a stream id of its own under which the upstream connection knows it.  Giving up on an attempt is taking
that id out of the HTTP layer's table: whatever still arrives for it finds nobody, so late bytes of an abandoned attempt
cannot reach the client.

An attempt fails as long as nothing of its answer has gone to the client: the connection could not be made, it broke, it
was too slow, or the provider answered with a status that another one may not have.  The hook `upstream_attempt_failed`
is then asked for another target.  Whatever it says, the number of attempts and the total time are bounded here.

    sending ──► head ──┬─► whole (JSON: read to its end) ──────────► answer
       ▲               ├─► first event (event stream) ─► streaming ─► answer
       └── failed ◄────┴─► held (a status to fail over on)
"""

import itertools
import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from mitmproxy import http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestHeaders,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)

from jupiter_addons.dialects import envelope
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import AttemptFailure, Exchange
from jupiter_addons.host.commands import CLOSED, Dial, Pause
from jupiter_addons.host.permits import GATEWAY_FAULT, is_permitted
from jupiter_addons.host.state import Host

type Commands = layer.CommandGenerator[Any]

RETRYABLE = frozenset({429, 500, 502, 503, 504, 529})
"""Statuses by which a provider says that it, or now, is the problem, not the request.  529 is Anthropic's overload."""
NOT_LOOKED_AT = frozenset({429, 503, 529})
"""Those of them by which it says that it has not done anything."""
EVENT_STREAMS = frozenset(wire.stream_type for wire in WIRES.values())
HELD_BYTES = 64 * 1024
"""How much of such an answer is read before another provider is asked."""

_ids = itertools.count(1 << 40, 2)

_CONNECT_FAILED = Refusal("no_provider", "no provider could be reached", retry_after_s=1)
_BROKEN = Refusal("provider_error", "the provider ended the connection without an answer")
_TOO_SLOW = Refusal("deadline_exceeded", "the provider did not answer in time")
_TOO_LARGE = Refusal("provider_invalid_response", "the provider's answer is too large")
_CUT_SHORT = Refusal("provider_error", "the provider ended the stream before it was complete")
_TOO_LONG = Refusal("deadline_exceeded", "the answer took longer than a call may take")
_STALLED = Refusal("deadline_exceeded", "the provider stopped sending before the stream was complete")


@dataclass(slots=True, eq=False)
class Attempt:
    """A failed attempt: what the hook `upstream_attempt_failed` is given.

    To go on, the hook changes `flow.request`, gives the exchange a permit for it, and sets `retry`.
    """

    flow: http.HTTPFlow
    number: int
    """Of the attempt that failed, from 1."""
    failure: AttemptFailure
    retry: bool = False
    delay_s: float = 0.0
    """How long to wait first."""
    given_up: bool = False
    """There is nobody left to ask."""

    def give_up(self) -> None:
        """Leave the failure as it is; the stages that follow are skipped."""
        self.given_up, self.retry = True, False


@dataclass
class UpstreamAttemptFailedHook(commands.StartHook):
    """An attempt failed before any byte of an answer went to the client."""

    attempt: Attempt


class UpstreamStream(HttpStream):
    """What of a request happens between the decision and the answer."""

    host: ClassVar[Host]
    http_layer: Any
    """The layer that holds this stream; set by it."""
    exchange: Exchange
    attempt_id: int | None = None
    """What the upstream connection calls the attempt that is running; None if there is none."""
    deadline: float = math.inf
    """When this stream wants to be told that it is late; monotonic seconds."""
    _attempts = 0
    _ends = math.inf
    _stale = False
    """A kept connection has failed this request: it gets a new one, and the failure does not count as an attempt."""
    _fresh = False
    _head: ResponseHeaders | None = None
    _head_sent = False
    _ending = False
    """The terminal event has come: the end of the stream is not waited for as long as events are."""

    # -- what the other half gives --------------------------------------------------------------------------------------

    def answer(self, head: ResponseHeaders, body: bytes) -> Commands:
        """Deliver a whole answer."""
        raise NotImplementedError

    def open_stream(self, head: ResponseHeaders) -> Commands:
        """Ask the chain about the head of an event stream; return whether its events are to be read now."""
        raise NotImplementedError

    def pass_on(self, data: bytes) -> Commands:
        """Give bytes of an event stream to the relay, and what it lets go to the client."""
        raise NotImplementedError

    def end_stream(self) -> Commands:
        """End an event stream that is complete."""
        raise NotImplementedError

    def end_refused(self, refusal: Refusal) -> Commands:
        """End the exchange with an error, whatever has been sent so far."""
        raise NotImplementedError

    # -- an attempt -----------------------------------------------------------------------------------------------------

    def begin_attempt(self) -> Commands:
        """Dial and send what the permit names; on failure, ask for another target."""
        while True:
            x = self.exchange
            if not is_permitted(self.flow):
                yield from self.end_refused(_BROKEN)
                return
            timeouts = x.permit.timeouts
            if not self._attempts:
                self._ends = time.monotonic() + timeouts.total
            self._attempts += 1
            self.server_state = self.state_sending
            request = self.flow.request
            place, in_tls = (request.host, request.port), request.scheme == "https"
            connection, error = yield Dial(place, in_tls, fresh=self._stale, replaces=x.permit.once)
            if self._client_is_gone():
                return  # the event that says so is next in the queue
            if not error:
                if not self._may_send(x, connection):
                    late = time.monotonic() >= self._ends
                    yield from self.end_refused(x.refusal or (_TOO_SLOW if late else GATEWAY_FAULT))
                    return
                break
            if not (yield from self.attempt_failed(AttemptFailure("connect", error, sent=False))):
                return
        self.context.server = self.flow.server_conn = connection
        upstream = self.http_layer.upstreams[connection]
        self._fresh = upstream.served <= 1
        yield from self._send(x, connection)

    def _may_send(self, x: Exchange, connection: Any) -> bool:
        """Whether what was permitted when dialling began still is: the request, its place, and the time for it."""
        place = (x.permit.host, x.permit.port)
        return is_permitted(self.flow) and connection.address == place and time.monotonic() < self._ends

    def _send(self, x: Exchange, connection: Any) -> Commands:
        self.attempt_id = attempt_id = next(_ids)
        self.http_layer.streams[attempt_id] = self
        self.server_state = self.state_wait_for_response_headers
        x.times_ns["sent"] = time.monotonic_ns()
        self._wake_in(x.permit.timeouts.first_byte)
        request = self.flow.request
        content = request.raw_content
        yield SendHttp(RequestHeaders(attempt_id, request, not content), connection)
        if content:
            yield SendHttp(RequestData(attempt_id, content), connection)
        yield SendHttp(RequestEndOfMessage(attempt_id), connection)

    def _wake_in(self, seconds: float) -> None:
        if self._ending:
            return
        self.deadline = at = min(time.monotonic() + seconds, self._ends)
        self.http_layer.clock.wake_by(at)

    def _client_is_gone(self) -> bool:
        return any(isinstance(event, RequestProtocolError) for event in self._paused_event_queue)

    def abandon(self, reason: str) -> Commands:
        """Give up on the attempt that is running: cancel it, and do not listen to it any more."""
        self.deadline = math.inf
        attempt_id, self.attempt_id = self.attempt_id, None
        self.response_body_buf.clear()
        self._head = None
        if attempt_id is None:
            return
        self.http_layer.streams.pop(attempt_id, None)
        if self.context.server.connected:
            yield SendHttp(RequestProtocolError(attempt_id, reason, ErrorCode.CANCEL), self.context.server)

    def attempt_failed(self, failure: AttemptFailure) -> layer.CommandGenerator[bool]:
        """Ask for another target.  Returns True if there is one; otherwise the exchange has been ended."""
        x = self.exchange
        held, body = self._head, bytes(self.response_body_buf)
        if failure.reason == "status":
            self._leave_complete()
        else:
            yield from self.abandon(failure.reason)
        x.failures.append(failure)
        if self.host.attempt_failed is not None:
            self.host.attempt_failed(x, failure)
        x.forget_answer()
        self._ending = False
        self.flow.response = None
        if not x.may_be_billed:
            x.times_ns.pop("sent", None)  # not sent, or turned away: nothing to pay for
        attempt = Attempt(self.flow, self._attempts, failure)
        if failure.reason == "stale":
            self._stale = True
            self._attempts -= 1
        again = not (x.permit.once and failure.sent and failure.status is None)
        if again and self._attempts < self.host.limits.attempts and time.monotonic() < self._ends:
            self.server_state = self.state_between
            yield UpstreamAttemptFailedHook(attempt)
            if (yield from self.check_killed(True)):
                return False
            if attempt.retry and attempt.delay_s > 0 and not x.refusal:
                yield from self._wait(attempt.delay_s)
                if self._client_is_gone():
                    return False  # the event that says so is next in the queue
            if attempt.retry and not x.refusal and time.monotonic() < self._ends and not self._client_is_gone():
                return True
        if x.refusal is not None:
            yield from self.end_refused(x.refusal)
        elif held is not None and failure.reason == "status":
            x.times_ns["sent"] = x.times_ns["first_byte"]
            yield from self.answer(held, body)
        else:
            yield from self.end_refused(self._refusal_for(x))
        return False

    def _leave_complete(self) -> None:
        """The attempt has ended by itself; its connection may serve the next one."""
        self.deadline = math.inf
        if self.attempt_id is not None:
            self.http_layer.streams.pop(self.attempt_id, None)
            self.attempt_id = None
        self.response_body_buf.clear()
        self._head = None

    def _wait(self, seconds: float) -> Commands:
        yield Pause(min(seconds, max(0.0, self._ends - time.monotonic())))

    @staticmethod
    def _refusal_for(x: Exchange) -> Refusal:
        """Return what to tell the client when there is nobody left to ask."""
        if not any(failure.sent for failure in x.failures):
            return _CONNECT_FAILED
        return _TOO_SLOW if x.failures[-1].reason == "timeout" else _BROKEN

    def overdue(self) -> Commands:
        """A deadline has passed."""
        now = time.monotonic()
        if now < self.deadline:
            return
        self.deadline = math.inf
        if self._head_sent:
            yield from self.abandon("timeout")
            yield from self.end_refused(_STALLED if now < self._ends else _TOO_LONG)
        elif self.attempt_id is not None:
            yield from self.try_again(AttemptFailure("timeout", "the provider did not answer in time", sent=True))

    def try_again(self, failure: AttemptFailure) -> Commands:
        """Ask for another target and, if there is one, send there."""
        if (yield from self.attempt_failed(failure)):
            yield from self.begin_attempt()

    def upstream_broke(self, event: ResponseProtocolError) -> Commands:
        """The upstream connection ended, or what it sent made no sense."""
        if self._ending:  # nothing but the end was awaited
            yield from self.abandon("complete")
            yield from self.end_stream()
            return
        if self._head_sent:
            yield from self.abandon("broken")
            yield from self.end_refused(_CUT_SHORT)
            return
        # A connection that had served before and ends without a byte was being closed as we wrote (RFC 9112, section 9.3.1).
        stale = not self._fresh and not self._stale and self._head is None and event.message == CLOSED
        yield from self.try_again(AttemptFailure("stale" if stale else "broken", event.message, sent=True))

    # -- states ---------------------------------------------------------------------------------------------------------

    def state_sending(self, event: events.Event) -> Commands:
        """Nothing has been sent: nothing can come back."""
        yield from ()

    def state_between(self, event: events.Event) -> Commands:
        """One attempt is over, the next has not begun."""
        yield from ()

    def state_wait_for_response_headers(self, event: events.Event) -> Commands:
        """The head of the answer decides what becomes of it."""
        yield from ()
        if not isinstance(event, ResponseHeaders):
            return
        x = self.exchange
        x.times_ns["first_byte"] = time.monotonic_ns()
        self._head = event
        status = event.response.status_code
        retryable = NOT_LOOKED_AT if x.permit.once else RETRYABLE
        if status in retryable and self._attempts < self.host.limits.attempts:
            self.server_state = self.state_hold
            self._wake_in(x.permit.timeouts.idle)
        elif is_event_stream(event.response) or (x.is_passed_on and 200 <= status < 300):
            self.server_state = self.state_wait_for_first_event
        else:
            self.server_state = self.state_read_whole
            self._wake_in(x.permit.timeouts.idle)

    def state_hold(self, event: events.Event) -> Commands:
        """Read an answer that another provider may save the client from."""
        if isinstance(event, ResponseData):
            self.response_body_buf += event.data
            if len(self.response_body_buf) > HELD_BYTES:
                self.server_state = self.state_read_whole  # too long to be an error's
        elif isinstance(event, ResponseEndOfMessage):
            assert self._head is not None
            status = self._head.response.status_code
            after = envelope.advice(self._head.response.headers)
            yield from self.try_again(
                AttemptFailure("status", f"the provider answered {status}", sent=True, status=status, retry_after=after)
            )

    def state_read_whole(self, event: events.Event) -> Commands:
        """Read an answer to its end; nothing of it goes out before that."""
        if isinstance(event, ResponseData):
            self.response_body_buf += event.data
            if len(self.response_body_buf) > self.host.limits.answer_bytes:
                yield from self.abandon("too large")
                yield from self.end_refused(_TOO_LARGE)
                return
            self._wake_in(self.exchange.permit.timeouts.idle)
        elif isinstance(event, ResponseEndOfMessage):
            head, body = self._head, bytes(self.response_body_buf)
            assert head is not None
            self._leave_complete()
            yield from self.answer(head, body)

    def state_wait_for_first_event(self, event: events.Event) -> Commands:
        """An event stream has begun, but nothing of it can be delivered yet."""
        if not isinstance(event, (ResponseData, ResponseEndOfMessage)):
            return
        head = self._head
        assert head is not None
        x = self.exchange
        if self.flow.response is None and not (yield from self.open_stream(head)):
            if self.server_state == self.state_read_whole:
                yield from self.server_state(event)
            return
        if isinstance(event, ResponseData):
            yield from self.pass_on(event.data)
            if x.relay.begun and self.attempt_id is not None:
                self._wake_in(x.permit.timeouts.idle)
        else:
            self._leave_complete()
            yield from self.end_stream()

    def state_stream_response_body(self, event: events.Event) -> Commands:
        """Pass an event stream on."""
        if isinstance(event, ResponseData):
            self._wake_in(self.exchange.permit.timeouts.idle)
            yield from self.pass_on(event.data)
        elif isinstance(event, ResponseEndOfMessage):
            self._leave_complete()
            yield from self.end_stream()


def is_event_stream(response: http.Response) -> bool:
    """Whether an answer is passed on event by event."""
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media in EVENT_STREAMS and 200 <= response.status_code < 300
