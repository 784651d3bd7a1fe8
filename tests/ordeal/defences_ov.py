"""The switches of the rows OV: what keeps a gateway useful when more is asked of it than it can do."""

from defences_re import edge_limits

from __main__ import defence  # defences.py, run as a program, of which this is a part


@defence
def in_flight_cap() -> None:
    """Any number of requests at once."""
    edge_limits(in_flight=1 << 40)


@defence
def load_shedding() -> None:
    """Whoever asks is served, however late: no cap, and no heed of the event loop's lag."""
    from jupiter_addons.host.shedding import Shedder

    edge_limits(in_flight=1 << 40)
    Shedder.tick = lambda self, lag_s, busy: None  # type: ignore[method-assign]


@defence
def stall_watch() -> None:
    """Nobody notices that the event loop was blocked."""
    from jupiter_addons.host import clock

    clock.STALL_S = 1e9
