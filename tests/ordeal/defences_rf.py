"""The switches of the rows RF and ST: what keeps a provider's faults, and a stream's, from becoming the client's."""

from collections.abc import Generator
from typing import Any

from defences_re import edge_limits

from __main__ import defence  # defences.py, run as a program, of which this is a part

FOR_EVER = 3600.0


def _patience(**instead: float) -> None:
    """Give every provider these timeouts, whatever the configuration says."""
    from jupiter_addons.routing.provider import Timeouts

    original = Timeouts.__init__

    def changed(self: Timeouts, **values: float) -> None:
        original(self, **{**values, **instead})

    Timeouts.__init__ = changed  # type: ignore[method-assign]


@defence
def failover() -> None:
    """Only one provider is asked."""
    edge_limits(attempts=1)


@defence
def connect_timeout() -> None:
    """A connection may take for ever to be made."""
    _patience(connect=FOR_EVER)


@defence
def handshake_timeout() -> None:
    """A TLS handshake may take for ever."""
    _patience(tls=FOR_EVER)


@defence
def first_byte_timeout() -> None:
    """An answer may take for ever to begin."""
    _patience(first_byte=FOR_EVER)


@defence
def idle_timeout() -> None:
    """A stream may be silent for ever."""
    _patience(idle=FOR_EVER)


@defence
def total_timeout() -> None:
    """A call may take for ever, as long as something comes now and then."""
    _patience(total=FOR_EVER)


@defence
def retry_advice() -> None:
    """Nobody is told when to come back."""
    from jupiter_addons.dialects import envelope

    original = envelope.headers
    envelope.headers = lambda refusal: [field for field in original(refusal) if field[0] != "retry-after"]


@defence
def resolve_in_thread() -> None:
    """Names are looked up on the event loop."""
    import socket

    from jupiter_addons.host import dialling

    async def at_once(host: str, port: int) -> list[str]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    dialling.resolve = at_once


@defence
def many_upstreams() -> None:
    """Five connections to a provider, as stock mitmproxy has for an HTTP/2 client."""
    from jupiter_addons.host.pool import Pool

    original = Pool.place

    async def few(self: Pool, address: tuple[str, int], most: int) -> Any:
        return await original(self, address, min(most, 5))

    Pool.place = few  # type: ignore[method-assign]


@defence
def no_silent_retry() -> None:
    """A stream that broke off is asked for again, although the client has its beginning."""
    from jupiter_addons.host.upstream import UpstreamStream

    original = UpstreamStream.upstream_broke

    def forgetful(self: UpstreamStream, event: Any) -> Generator[Any, Any, None]:
        self._head_sent = False
        yield from original(self, event)

    UpstreamStream.upstream_broke = forgetful  # type: ignore[method-assign]


@defence
def redirects_refused() -> None:
    """A redirect is passed on like any other answer."""
    from jupiter_addons.stages.reply import ReadReply

    ReadReply._check = staticmethod(lambda response, x: None)  # type: ignore[assignment,method-assign]


@defence
def answer_bound() -> None:
    """An answer may be as long as it likes."""
    edge_limits(answer_bytes=1 << 40)


@defence
def event_splitter() -> None:
    """What is read at once is taken for whole events."""
    from jupiter_addons.dialects.sse import Splitter

    Splitter.feed = lambda self, data: [self._frame(data)]  # type: ignore[method-assign]


@defence
def line_ends() -> None:
    """Lines end in LF."""
    import re

    from jupiter_addons.dialects import sse

    sse._BLANK, sse._LINE = re.compile(rb"\n\n"), re.compile(rb"\n")


@defence
def faults_caught() -> None:
    """A bug in a stream is left to whoever comes next."""
    from jupiter_addons.host.delivery import DeliveringStream
    from jupiter_addons.host.stream import GuardedStream

    GuardedStream.handle_event = DeliveringStream.handle_event  # type: ignore[method-assign]


@defence
def honest_status() -> None:
    """Every answer is called complete."""
    from jupiter_addons.stages import leaves

    leaves._status = lambda x: "ok"


@defence
def identity_only() -> None:
    """The provider may compress as the client likes."""
    from jupiter_addons.stages import translate

    original = translate.Translate._fields

    def fields(asked: Any, *args: Any, **more: Any) -> list[tuple[bytes, bytes]]:
        kept = [field for field in original(asked, *args, **more) if field[0] != b"accept-encoding"]
        return kept + [field for field in asked if field[0].lower() == b"accept-encoding"]

    translate.Translate._fields = staticmethod(fields)  # type: ignore[method-assign]


@defence
def hang_ups_closed() -> None:
    """An exchange whose client has gone is forgotten."""
    from jupiter_addons.host.delivery import DeliveringStream

    def ignore(self: DeliveringStream, event: Any) -> Generator[Any, Any, None]:
        yield from ()

    DeliveringStream.client_left = ignore  # type: ignore[method-assign]


@defence
def back_pressure() -> None:
    """Providers are read however little the client takes."""
    from jupiter_addons.host.pump import Pump

    Pump.wire_congested = lambda self, wire, *, congested: None  # type: ignore[method-assign]


@defence
def event_bound() -> None:
    """An event may be as long as it likes."""
    from jupiter_addons.dialects.sse import Splitter

    Splitter.__init__.__defaults__ = (1 << 40,)


@defence
def rests() -> None:
    """A provider that asks to be left alone is asked."""
    from jupiter_addons.stages.router import Router

    Router.rest_s = lambda self, advice: None  # type: ignore[method-assign]


@defence
def latency() -> None:
    """How fast providers are plays no part."""
    from jupiter_addons.routing import strategies

    strategies.STRATEGIES["least-latency"] = strategies.weighted  # type: ignore[index]


@defence
def one_probe() -> None:
    """All are let through when a breaker has been open for its time."""
    from jupiter_addons.routing.breaker import Breaker

    original = Breaker.admits

    def admits(self: Breaker, now_s: float) -> bool:
        return self.state == "half_open" or original(self, now_s)

    Breaker.admits = admits  # type: ignore[method-assign]


@defence
def retry_budget() -> None:
    """There are means for every further attempt."""
    from jupiter_addons.routing.retry import RetryBudget

    RetryBudget.take = lambda self, now_s: True  # type: ignore[method-assign]


@defence
def ejection() -> None:
    """Nobody is ejected."""
    from jupiter_addons.routing import state

    state.eject = lambda group, rules, now_s: []


@defence
def weights() -> None:
    """All have the same share."""
    from jupiter_addons.routing import strategies

    def even(candidates: Any, at: Any) -> Any:
        return sorted(candidates, key=lambda _: at.dice())

    strategies.STRATEGIES["weighted"] = even  # type: ignore[index]


@defence
def losers_cancelled() -> None:
    """An attempt that is given up goes on at its provider."""
    from jupiter_addons.host.upstream import UpstreamStream

    def forget(self: UpstreamStream, reason: str) -> Generator[Any, Any, None]:
        self.attempt_id = None
        yield from ()

    UpstreamStream.abandon = forget  # type: ignore[method-assign,assignment]
