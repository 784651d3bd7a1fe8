"""The ledger: what has been taken, by whom; all limits of a call at once or none.

One synchronous function on one event loop is atomic without a lock: it checks every limit, and only then takes from any.
A call takes once, whatever is asked twice; a reservation is settled once.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from jupiter_addons.limits.demand import Limit
from jupiter_addons.limits.windows import Window

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """How a limit stands after a call: for the `x-ratelimit-*` headers."""

    limit: Limit
    remaining: int
    reset_s: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call has taken."""

    call_id: str
    standings: tuple[Standing, ...]

    @property
    def tightest(self) -> Standing | None:
        """The limit with the smallest share left."""
        return min(self.standings, key=lambda s: s.remaining / s.limit.amount, default=None)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The limit that refused a call, and when one of its size would be admitted again."""

    limit: Limit
    retry_after_s: float


class Ledger:
    """What has been taken under every limit."""

    def __init__(self) -> None:
        self._windows: OrderedDict[tuple[str, int], Window] = OrderedDict()
        self._open: dict[str, Reservation] = {}

    def reserve(self, call_id: str, limits: Sequence[Limit], now_ns: int) -> Reservation | Exceeded:
        """Take one request under every limit, or nothing under any.

        Of several exceeded limits the one that is free last is named: a client that waits for it is admitted.
        """
        if (held := self._open.get(call_id)) is not None:
            return held
        windows = [self._window(limit, now_ns) for limit in limits]
        waits = [
            Exceeded(limit, window.free_after_ns(window.taken + 1 - limit.amount, now_ns) / _NS)
            for limit, window in zip(limits, windows, strict=True)
            if window.taken + 1 > limit.amount
        ]
        if waits:
            return max(waits, key=lambda exceeded: exceeded.retry_after_s)
        for window in windows:
            window.take(1, now_ns)
        standings = tuple(
            Standing(limit, limit.amount - window.taken, window.reset_after_ns(now_ns) / _NS)
            for limit, window in zip(limits, windows, strict=True)
        )
        reservation = self._open[call_id] = Reservation(call_id, standings)
        return reservation

    def settle(self, reservation: Reservation) -> bool:
        """End a reservation; return whether it was open.  A request that was made stays counted, however it ended."""
        return self._open.pop(reservation.call_id, None) is not None

    @property
    def open_count(self) -> int:
        """How many reservations are not settled."""
        return len(self._open)

    def sweep(self, now_ns: int, most: int = 100) -> None:
        """Forget windows that are empty, the longest unused first; looks at no more than `most`."""
        for _ in range(min(most, len(self._windows))):
            key, window = next(iter(self._windows.items()))
            window.advance(now_ns)
            if window.taken:
                self._windows.move_to_end(key)
            else:
                del self._windows[key]

    def _window(self, limit: Limit, now_ns: int) -> Window:
        """Return the window of a limit, moved on to now.  The amount is not part of its name: changing it keeps the count."""
        key = (limit.subject, limit.window_s)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(limit.window_s * _NS)
        else:
            window.advance(now_ns)
            self._windows.move_to_end(key)
        return window
