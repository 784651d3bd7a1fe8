"""What only books in a database do: forget rows, count members, share holds with other processes."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from support.trial import Clocks, Trial

from jupiter_addons.limits.store import Counter, Period, Sliding, Slots, Take
from jupiter_addons.storage.limits_sqlite import SqliteStore


class Two:
    """Two processes' stores of one database; the connection looks at it from outside."""

    def __init__(self, path: Path) -> None:
        self.clocks = Clocks()
        self.path = path
        self.a, self.b = self.opened(), self.opened()
        self.a.restore()
        self.outside = apsw.Connection(str(path))

    def opened(self, max_subjects: int = 1_000_000) -> Trial:
        clocks = self.clocks
        made = SqliteStore(
            self.path, kernel_ns=clocks.steady_ns, wall_s=clocks.wall_s, boot="one", max_subjects=max_subjects
        )
        return Trial(made, clocks)

    def rows(self, table: str) -> int:
        ((count,),) = self.outside.execute(f"SELECT count(*) FROM {table}")
        return count

    def members(self) -> dict[str, int]:
        return dict(self.outside.execute("SELECT name, subjects FROM series"))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path / "limits.db")
    yield made
    made.outside.close()
    made.a.close()
    made.b.close()


def minute(subject: str = "user:alice") -> Counter:
    return Counter(subject, "tokens", Sliding(60))


def test_what_one_process_takes_the_other_sees(two: Two):
    two.a.held("c", Take(minute(), 60, 100))
    assert two.b.count(minute()) == (60, 60)
    assert two.b.short("d", Take(minute(), 41, 100)).lacking[0].remaining == 40
    assert two.b.held("c", Take(minute(), 60, 100)).remaining == (40,)
    assert two.b.settle("c", 10)
    assert not two.a.settle("c", 10)
    assert two.a.count(minute()) == (10, 0)


def test_what_another_process_has_made_of_a_hold_counts(two: Two):
    two.a.held("c", Take(minute(), 10, 100))
    two.b.extend("c", 20)
    assert two.a.extend("c", 30).remaining == (40,)
    two.clocks.forward(30)
    two.b.reset(minute())
    two.clocks.forward(40)
    assert two.a.settle("c", 5)
    assert two.b.count(minute()) == (5, 0)


def test_a_call_whose_lease_has_run_out_is_told_to_one_process(two: Two):
    two.a.held("c", Take(minute(), 10, 100), lease_s=5)
    two.clocks.forward(6)
    assert [len(two.b.tend()), len(two.a.tend())] == [1, 0]
    assert two.a.settle("c", 3)
    assert two.b.count(minute()) == (3, 0)


def test_counters_that_hold_nothing_are_forgotten_a_part_at_a_time(two: Two):
    for number in range(10):
        two.a.held(f"c{number}", Take(minute(f"user:{number}"), 1, 9))
        two.a.settle(f"c{number}", 1)
    runs = [Take(minute("user:busy"), 1, 9), Take(Counter("user:busy", "calls", Slots()), 1)]
    two.a.held("runs", *runs, lease_s=1000)
    two.clocks.forward(67)
    assert two.members() == {"tokens/60s": 11, "calls/running": 1}
    left = []
    for _ in range(5):
        two.a.answer(two.a.store.tend(4))
        left.append(two.rows("counter"))
    assert left[0] == 8
    assert left[-1] == 2  # what a call holds is counted there
    assert two.members() == {"tokens/60s": 1, "calls/running": 1}
    assert two.a.settle("runs", 0, 1)
    assert two.members() == {"tokens/60s": 1, "calls/running": 0}


def test_a_period_is_forgotten_a_day_after_its_end_and_its_series_too(two: Two):
    counter = Counter("team:lab", "nusd", Period("2026-09@UTC", two.clocks.wall + 10))
    two.a.held("c", Take(counter, 1, 10))
    two.a.settle("c", 1)
    two.clocks.forward(86_000)
    two.a.tend()
    assert two.a.taken(counter) == 1
    two.clocks.forward(1000)
    two.a.tend()
    assert (two.rows("counter"), two.members()) == (0, {})


def test_too_many_made_up_subjects_are_counted_together(two: Two):
    store = two.opened(max_subjects=3)
    takes = [Take(Counter(f"rule:r:{n}", "requests", Sliding(60), crowd="rule:r"), 1, 2) for n in range(6)]
    outcomes = [type(store.reserve(f"c{n}", [take])).__name__ for n, take in enumerate(takes)]
    assert outcomes == ["Held"] * 5 + ["Short"]
    store.settle("c3", 0)
    assert type(store.reserve("given back to the crowd", [takes[5]])).__name__ == "Held"
    store.close()


def test_after_a_transaction_that_failed_nothing_of_it_is_remembered(two: Two):
    two.a.held("c", Take(minute(), 10, 100))
    two.outside.execute("CREATE TRIGGER no BEFORE UPDATE ON counter BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(Exception, match="no"):
        two.a.extend("c", 20)
    two.outside.execute("DROP TRIGGER no")
    two.a.store.database._rest_until_s = 0
    assert two.a.extend("c", 5).remaining == (85,)
    assert two.a.count(minute()) == (15, 15)
