"""The ledger: what has been taken, by whom; all limits of a call at once or none.

One synchronous function on one event loop is atomic without a lock: it checks every limit, and only then takes from any.
A call takes once, whatever is asked twice; a reservation is settled once, and what it held beyond its true charge goes back
to the very buckets it came from.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jupiter_addons.limits.demand import Amounts, Kind, Limit
from jupiter_addons.limits.usage import meters
from jupiter_addons.limits.windows import Window
from jupiter_addons.units import NANO_PER_USD

_NS = 1_000_000_000
MAX_WINDOWS = 100_000
"""With so many windows, subjects that a client may have made up are counted together."""
_NOTHING = Amounts()


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
    amounts: Amounts = _NOTHING
    taken_from: tuple[tuple[Window, Kind, int], ...] = field(default=(), repr=False, compare=False)
    """Window, kind and number of the bucket."""

    @property
    def tightest(self) -> Standing | None:
        """The limit on requests with the smallest share left."""
        requests = (s for s in self.standings if s.limit.kind == "requests")
        return min(requests, key=lambda s: s.remaining / s.limit.amount, default=None)


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The limit that refused a call, and when one of its size would be admitted again."""

    limit: Limit
    retry_after_s: float
    every: Mapping[Limit, float] = field(default_factory=dict, compare=False)
    """All limits that refuse it, and when each would admit it."""


class Ledger:
    """What has been taken under every limit."""

    def __init__(self, max_windows: int = MAX_WINDOWS) -> None:
        self._max_windows = max_windows
        self._windows: OrderedDict[tuple[str, Kind, int], Window] = OrderedDict()
        self._open: dict[str, Reservation] = {}

    def reserve(
        self,
        call_id: str,
        limits: Sequence[Limit],
        now_ns: int,
        amounts: Amounts = _NOTHING,
        *,
        usage_of: tuple[str, str] | None = None,
    ) -> Reservation | Exceeded:
        """Take one request, and its tokens and cost, under every limit, or nothing under any; `usage_of` names the
        user and the model whose usage it is.

        Of several exceeded limits the one that is free last is named: a client that waits for it is admitted.
        """
        if (held := self._open.get(call_id)) is not None:
            return held
        every = [*limits, *meters(*usage_of).values()] if usage_of is not None else limits
        windows = [self._window(limit, now_ns) for limit in every]
        needs = [amounts.of(limit.kind) for limit in every]
        waits = {
            limit: window.free_after_ns(window.taken + need - limit.amount, now_ns) / _NS
            for limit, window, need in zip(every, windows, needs, strict=True)
            if window.taken + need > limit.amount
        }
        if waits:
            last = max(waits, key=lambda limit: waits[limit])
            return Exceeded(last, waits[last], waits)
        taken_from = tuple(
            (window, limit.kind, window.take(need, now_ns))
            for limit, window, need in zip(every, windows, needs, strict=True)
        )
        standings = tuple(
            Standing(limit, limit.amount - window.taken, window.reset_after_ns(now_ns) / _NS)
            for limit, window in zip(limits, windows, strict=False)
        )
        reservation = self._open[call_id] = Reservation(call_id, standings, amounts, taken_from)
        return reservation

    def settle(self, reservation: Reservation, true: Amounts = _NOTHING) -> bool:
        """End a reservation; return whether it was open.

        A request that was made stays counted, however it ended; of tokens and cost what they truly came to is counted.
        """
        if self._open.pop(reservation.call_id, None) is None:
            return False
        for window, kind, bucket in reservation.taken_from:
            if change := true.of(kind) - reservation.amounts.of(kind):
                window.correct(bucket, change)
        return True

    @property
    def open_count(self) -> int:
        """How many reservations are not settled."""
        return len(self._open)

    def usage(self, user: str, model: str, now_ns: int) -> dict[str, int | float]:
        """Return what a user has taken lately, of one model or all, by the names of the facts; costs in dollars."""
        found: dict[str, int | float] = {}
        for name, limit in meters(user, model).items():
            window = self._windows.get((limit.subject, limit.kind, limit.window_s))
            if window is not None:
                window.advance(now_ns)
            taken = window.taken if window is not None else 0
            found[name] = taken / NANO_PER_USD if limit.kind == "cost" else taken
        return found

    def sweep(self, now_ns: int, most: int = 100) -> None:
        """Forget windows that are empty, the longest unused first; looks at no more than `most`."""
        for _ in range(min(most, len(self._windows))):
            key, window = next(iter(self._windows.items()))
            window.advance(now_ns)
            if window.holds_nothing:
                del self._windows[key]
            else:
                self._windows.move_to_end(key)

    def _window(self, limit: Limit, now_ns: int) -> Window:
        """Return the window of a limit, moved on to now.  The amount is not part of its name: changing it keeps the count."""
        key = (limit.subject, limit.kind, limit.window_s)
        if key not in self._windows and limit.crowd is not None and len(self._windows) >= self._max_windows:
            key = (limit.crowd, limit.kind, limit.window_s)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(limit.window_s * _NS)
        else:
            window.advance(now_ns)
            self._windows.move_to_end(key)
        return window
