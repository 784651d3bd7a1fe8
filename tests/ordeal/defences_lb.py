"""The switches of the rows LB: what keeps anybody from taking more than there is."""

from typing import Any

from __main__ import defence  # defences.py, run as a program, of which this is a part


@defence
def reservations() -> None:
    """What a call will take is looked at when it has been taken."""
    from jupiter_addons.limits.ledger import Ledger
    from jupiter_addons.limits.limit import Amounts

    original = Ledger.reserve

    async def after(self: Ledger, call_id: str, limits: Any, amounts: Amounts, **how: Any) -> Any:
        return await original(self, call_id, limits, Amounts(), **how)

    Ledger.reserve = after  # type: ignore[method-assign]


@defence
def all_or_nothing() -> None:
    """Counters are asked one after the other, and each takes."""
    from jupiter_addons.limits.counting import Counting
    from jupiter_addons.limits.store import Short

    original = Counting.reserve

    def in_turn(self: Counting, call_id: str, takes: Any, lease_s: float) -> Any:
        outcome = original(self, call_id, takes, lease_s)
        if isinstance(outcome, Short):
            good = [take for number, take in enumerate(takes) if number not in outcome.lacking]
            original(self, f"{call_id}-in-turn", good, lease_s)
        return outcome

    Counting.reserve = in_turn  # type: ignore[method-assign]


@defence
def settled_once() -> None:
    """A call that ends twice is settled twice."""
    from jupiter_addons.limits.counting import Counting

    original = Counting.settle

    def twice(self: Counting, call_id: str, amounts: Any) -> bool:
        hold = self._books.hold(call_id)
        done = original(self, call_id, amounts)
        for take, subject, amount in zip(hold.takes, hold.subjects, amounts, strict=True) if hold is not None else ():
            self._books.table(take.counter).add(subject, amount, self._steady_ns())
        return done

    Counting.settle = twice  # type: ignore[method-assign]


@defence
def sliding_windows() -> None:
    """Windows begin with the clock, and at their edge everything is free again."""
    from jupiter_addons.limits.tables import SlidingTable

    original = SlidingTable.__init__

    def fixed(self: SlidingTable, window_s: int) -> None:
        original(self, window_s)
        step_ns = self._step_ns
        now = SlidingTable._now

        class Fixed(SlidingTable):
            def _now(self, subject: str, now_ns: int) -> Any:
                state = now(self, subject, now_ns)
                begins = now_ns // (10 * step_ns) * 10
                if state is None or state[-2] < begins:
                    return None
                return state

        self.__class__ = Fixed

    SlidingTable.__init__ = fixed  # type: ignore[method-assign]


@defence
def priced_only() -> None:
    """A model that nobody has a price for costs nothing."""
    from jupiter_addons.stages.route import PlanRoute

    original = PlanRoute.__init__

    def lenient(self: PlanRoute, *parts: Any, **how: Any) -> None:
        original(self, *parts, **{**how, "refuse_unpriced": False})

    PlanRoute.__init__ = lenient  # type: ignore[method-assign]


@defence
def caps_sent() -> None:
    """What is held as a cap is not sent as one."""
    from jupiter_addons.stages.translate import Translate

    def uncapped(self: Translate, x: Any, *, older: bool) -> Any:
        x.capped = None
        return x.outgoing.call, x.outgoing.body, x.outgoing.encoded

    Translate._capped = uncapped  # type: ignore[method-assign]


@defence
def counters_kept() -> None:
    """A reload begins to count anew."""
    from jupiter_addons.service import Service

    original = Service.reload

    async def forgetful(self: Service) -> None:
        await original(self)
        self.stores.ledger.store.close()

    Service.reload = forgetful  # type: ignore[method-assign]


@defence
def true_waits() -> None:
    """Everybody is told to come back at once."""
    from jupiter_addons.limits.tables import BucketTable, SlidingTable

    for table in (SlidingTable, BucketTable):
        table.wait_ns = lambda self, subject, excess, now_ns: 1  # type: ignore[method-assign]


@defence
def slots_returned() -> None:
    """Only a call that is answered gives its slot back."""
    from jupiter_addons.limits.tables import SlotsTable

    SlotsTable.take_back = lambda self, subject, mark, amount: None  # type: ignore[method-assign]


@defence
def charge_table() -> None:
    """Whatever was sent is charged at its estimate."""
    from jupiter_addons.stages import settle

    original = settle.charge

    def flat(reply: Any, profile: Any, price: Any, **how: Any) -> Any:
        return original(None, profile, price)

    settle.charge = flat


@defence
def abort_charged() -> None:
    """A stream that was left is charged for its request alone."""
    from jupiter_addons.stages import settle

    original = settle.charge

    def complete_only(reply: Any, profile: Any, price: Any, **how: Any) -> Any:
        return original(reply if reply is not None and reply.complete else None, profile, price)

    settle.charge = complete_only


@defence
def bounded_usage() -> None:
    """A provider is believed whatever it counts."""
    from jupiter_addons.enrichment import charges

    charges._bounded = lambda usage, reply, profile: usage


@defence
def attempts_charged() -> None:
    """Only the attempt that was answered is charged."""
    from jupiter_addons.stages import settle

    settle.together = lambda charges: charges[-1]


@defence
def metered() -> None:
    """A stream that has begun goes on."""
    from jupiter_addons.stages.meter import Meter

    Meter.allows = lambda self, tokens: tokens < 2500  # type: ignore[method-assign] # or the row would not end


@defence
def steady_windows() -> None:
    """Windows go by the wall clock."""
    import time

    from jupiter_addons.limits.memory import MemoryStore
    from jupiter_addons.storage.limits_redis import RedisStore
    from jupiter_addons.storage.limits_sqlite import SqliteStore

    for store, name in ((MemoryStore, "steady_ns"), (SqliteStore, "kernel_ns"), (RedisStore, "steady_ns")):
        _with_clock(store, name, time.time_ns)


def _with_clock(store: Any, name: str, clock: Any) -> None:
    original = store.__init__
    store.__init__ = lambda self, *args, **more: original(self, *args, **{**more, name: clock})


@defence
def zones_kept() -> None:
    """Every calendar is UTC's."""
    from jupiter_addons.limits import calendars

    original = calendars.zone
    calendars.zone = lambda name: original("UTC")  # type: ignore[assignment]


@defence
def renewals() -> None:
    """A call says once for how long it will be held."""
    from jupiter_addons.limits import ledger

    ledger.RENEW_S = 10.0**9


@defence
def late_settlements() -> None:
    """What comes after a lease has run out comes too late."""
    from jupiter_addons.limits import ledger
    from jupiter_addons.limits.ledger import Ledger

    original = Ledger.settle

    async def in_time(self: Ledger, held: Any, true: Any, **how: Any) -> bool:
        late = self.wall_s() - held.at_s > ledger.LEASE_S
        return await original(self, held, held.amounts if late else true, **how)

    Ledger.settle = in_time  # type: ignore[method-assign]
