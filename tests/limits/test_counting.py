"""Counting in books that hand out copies, as a database does: what is not given back is lost."""

import copy
from collections.abc import Sequence

from support.trial import Clocks, Trial

from jupiter_addons.limits.counting import Counting, Hold
from jupiter_addons.limits.memory import MemoryBooks
from jupiter_addons.limits.store import Counter, Held, Sliding, Take

MINUTE = Counter("user:alice", "tokens", Sliding(60))


class Copies(MemoryBooks):
    def hold(self, call_id: str, ahead: Sequence[Take] = ()) -> Hold | None:
        return copy.deepcopy(super().hold(call_id, ahead))

    def put(self, hold: Hold) -> None:
        super().put(copy.deepcopy(hold))

    def holds(self):
        return iter(copy.deepcopy(list(super().holds())))

    def over(self):
        return iter(copy.deepcopy(list(super().over())))


def a_store() -> Trial:
    clocks = Clocks()
    return Trial(Counting(Copies(clocks.wall_s), clocks.steady_ns), clocks)  # type: ignore[arg-type] # nothing to close


def test_what_a_call_takes_more_is_kept():
    store = a_store()
    store.held("c", Take(MINUTE, 10, 100))
    assert store.extend("c", 20) == Held("c", (70,)) == store.reserve("c", [])
    assert store.count(MINUTE) == (30, 30)
    assert store.settle("c", 5)
    assert store.count(MINUTE) == (5, 0)


def test_a_renewed_lease_is_kept():
    store = a_store()
    store.held("c", Take(MINUTE, 10, 100), lease_s=5)
    store.renew(["c"], 50)
    store.clocks.forward(20)
    assert store.tend() == []


def test_where_a_reset_has_put_what_is_held_is_kept():
    store = a_store()
    store.held("c", Take(MINUTE, 10, 100))
    store.clocks.forward(30)
    store.reset(MINUTE)
    store.clocks.forward(40)
    assert store.settle("c", 0)
    assert store.taken(MINUTE) == 0


def test_what_a_reset_has_forgotten_of_a_call_that_ran_out_is_kept():
    store = a_store()
    store.held("c", Take(MINUTE, 10, 100), lease_s=5)
    store.extend("c", 10)
    store.clocks.forward(6)
    store.tend()
    store.reset(MINUTE)
    store.held("d", Take(MINUTE, 50, 100))
    store.settle("c", 0)
    assert store.taken(MINUTE) == 50
