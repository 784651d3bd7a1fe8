"""What every store has in common, without any store: which checkpoints stay, and what a last leaf must be."""

import pytest
from support.logs import KEYS, seal

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.storage.evidence_store import Kept, check_last


def test_the_newest_checkpoint_stays_and_the_first_of_each_second():
    kept, stored = Kept(), dict[int, int]()
    for size, t_ms in enumerate((10_000, 10_200, 10_900, 11_000, 11_500, 13_000, 13_100), start=1):
        if (replaced := kept.replaced()) is not None:
            del stored[replaced]
        stored[size] = t_ms
        kept.note(size, t_ms * 1000)
    assert list(stored) == [1, 4, 6, 7]


def test_a_checkpoint_that_failed_to_become_durable_changes_nothing():
    kept = Kept((5, 10_000_000))
    assert kept.replaced() is None
    assert kept.replaced() is None


@pytest.mark.parametrize("wrong", ["idx", "t_us", "leaf", "sig", "hash", "log", "key"])
def test_a_last_leaf_is_taken_only_as_it_was_written(wrong):
    row = seal([{"kind": "x"}])[0]
    good = [0, "x", None, 1000, row.leaf, row.signature, leaf_hash(row.leaf)]
    assert check_last(tuple(good), "l", KEYS, "here") == next(iter(KEYS))
    changed = {"idx": (0, 1), "t_us": (3, 999), "leaf": (4, row.leaf + b" "), "sig": (5, bytes(64)), "hash": (6, "0")}
    if wrong in changed:
        good[changed[wrong][0]] = changed[wrong][1]
    with pytest.raises(StoreError, match="not what was written"):
        check_last(tuple(good), "m" if wrong == "log" else "l", {} if wrong == "key" else KEYS, "here")
