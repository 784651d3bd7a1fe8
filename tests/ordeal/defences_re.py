"""The switches of the rows RE: what keeps a client from using up what others need."""

from __main__ import defence  # defences.py, run as a program, of which this is a part


def edge_limits(**instead: float) -> None:
    """Give the edge these limits, whatever the configuration says."""
    from jupiter_addons.host.state import EdgeLimits

    original = EdgeLimits.__init__

    def changed(self: EdgeLimits, **values: object) -> None:
        original(self, **{**values, **instead})  # type: ignore[arg-type]

    EdgeLimits.__init__ = changed  # type: ignore[method-assign]


@defence
def header_deadline() -> None:
    """A head may take for ever."""
    edge_limits(header_timeout_s=1e6)


@defence
def body_rate() -> None:
    """A body may take for ever once its first byte has come."""
    edge_limits(body_rate=1e-9)


@defence
def write_deadline() -> None:
    """A client may leave its answer unread for ever."""
    edge_limits(write_timeout_s=1e6)


@defence
def connection_caps() -> None:
    """Any number of connections."""
    edge_limits(connections=1 << 40, connections_per_address=1 << 40)


@defence
def accept_pause() -> None:
    """No pause after a connection could not be accepted for want of a file."""
    from jupiter_addons.host import listener

    listener.PAUSE_S = 0


@defence
def http2_budget() -> None:
    """Frames that carry no request cost nothing."""
    from jupiter_addons.host.edge_http2 import MeteredConnection

    MeteredConnection._spend = lambda self: None  # type: ignore[method-assign]


@defence
def decoded_header_limit() -> None:
    """A head may be of any length once it is decoded."""
    import hpack

    hpack.Decoder.max_header_list_size = property(lambda self: 1 << 40, lambda self, size: None)  # type: ignore[assignment]
    edge_limits(header_count=1 << 40)


@defence
def buffered_bytes() -> None:
    """Any number of request bodies in memory."""
    edge_limits(buffered_bytes=1 << 60)


@defence
def forgotten_clocks() -> None:
    """The deadlines of connections that are gone are kept, and with them everything that belonged to them."""
    from jupiter_addons.host.clock import Ticker

    Ticker.remove = lambda self, handler: None  # type: ignore[method-assign]


@defence
def log_sampling() -> None:
    """Every line is written."""
    from jupiter_addons.telemetry.logs import Sampler

    Sampler.filter = lambda self, record: True  # type: ignore[method-assign]
