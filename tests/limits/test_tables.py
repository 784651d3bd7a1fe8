"""Tables keep what may still matter, and let go of the rest a little at a time."""

from jupiter_addons.limits.store import Bucket, Sliding
from jupiter_addons.limits.tables import NS, Halves, table_of


def test_what_nobody_has_used_for_a_life_is_forgotten():
    halves: Halves[int] = Halves(10)
    halves.idle(9, 0)
    halves.put("a", 1)
    halves.put("b", 2)
    halves.idle(9, 11)
    halves.put("b", 3)
    halves.idle(9, 22)
    assert (halves.get("a"), halves.get("b"), len(halves)) == (None, 3, 1)
    halves.drop("b")
    assert halves.get("b") is None


def test_what_is_put_aside_is_freed_a_little_at_a_time():
    halves: Halves[int] = Halves(10)
    halves.idle(1, 0)
    for number in range(5):
        halves.put(str(number), number)
    halves.idle(2, 11)
    halves.idle(2, 22)
    assert [len(spent) for spent in halves._spent] == [3]
    halves.idle(100, 23)
    assert halves._spent == []


def test_a_bucket_is_kept_until_it_is_full_again_however_slowly_it_refills():
    table = table_of(Bucket(60), float)
    table.idle(9, 0)
    table.add("a", 100, 0, 10)  # ten minutes to refill
    table.idle(9, 61 * NS)
    table.idle(9, 122 * NS)
    assert table.taken("a", 300 * NS) == 50


def test_a_bucket_is_lessened_and_waits_as_long_as_refilling_takes():
    table = table_of(Bucket(60), float)
    table.add("a", 10, 0, 60)
    assert table.wait_ns("a", 3, 0) == 3 * NS
    assert table.wait_ns("a", 3, NS // 2) == 5 * NS // 2
    table.lessen("a", 4, 0)
    assert table.taken("a", 0) == 6
    table.clear("a")
    assert table.taken("a", 0) == 0


def test_a_window_is_lessened_from_its_oldest_part():
    table = table_of(Sliding(10), float)
    table.add("a", 5, 0)
    table.add("a", 5, 3 * NS)
    table.lessen("a", 7, 3 * NS)
    assert table.taken("a", 3 * NS) == 3
    assert table.taken("a", 12 * NS) == 3
    assert table.taken("a", 15 * NS) == 0
