"""What tables do beside what every store is tested for."""

from jupiter_addons.limits.store import Bucket, Sliding
from jupiter_addons.limits.tables import NS, table_of


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
