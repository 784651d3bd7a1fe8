"""Counters in memory: what no other store has to do."""

import itertools
import time
import tracemalloc

from support.trial import Clocks, Trial

from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.store import Counter, Period, Sliding, Slots, Take


def a_store(max_subjects: int = 1_000_000) -> Trial:
    clocks = Clocks()
    return Trial(MemoryStore(clocks.steady_ns, clocks.wall_s, max_subjects), clocks)


def subjects(trial: Trial) -> int:
    return trial.store.books.subjects


def test_too_many_made_up_subjects_are_counted_together():
    store = a_store(max_subjects=3)
    takes = [Take(Counter(f"rule:r:{n}", "requests", Sliding(60), crowd="rule:r"), 1, 2) for n in range(6)]
    outcomes = [type(store.reserve(f"c{n}", [take])).__name__ for n, take in enumerate(takes)]
    assert outcomes == ["Held"] * 5 + ["Short"]
    assert type(store.reserve("again", [takes[0]])).__name__ == "Held"
    store.settle("c3", 0)
    assert type(store.reserve("given back to the crowd", [takes[5]])).__name__ == "Held"


def test_idle_subjects_are_forgotten_and_busy_ones_are_not():
    store = a_store()
    busy = Take(Counter("user:busy", "requests", Sliding(60)), 1, 1_000)
    for number in range(500):
        store.held(f"c{number}", Take(Counter(f"user:{number}", "requests", Sliding(60)), 1, 10))
        store.settle(f"c{number}", 1)
    for number in range(10):
        store.held(f"busy{number}", busy)
        store.clocks.forward(20)
        store.tend()
    assert subjects(store) == 1
    assert store.taken(busy.counter) == 3


def test_a_period_is_forgotten_a_day_after_its_end():
    store = a_store()
    counter = Counter("team:lab", "nusd", Period("2026-09@UTC", store.clocks.wall + 10))
    store.held("c", Take(counter, 1, 10))
    store.settle("c", 1)
    store.clocks.forward(86_000)
    store.tend()
    assert store.taken(counter) == 1
    store.clocks.forward(1000)
    store.tend()
    assert store.store.books._tables == {}


def test_a_hundred_thousand_subjects_fit_and_going_through_them_costs_the_hit_path_nothing():
    """A tenth of LB-20, so that the test is short: under 200 bytes a subject, names included."""
    store = a_store()
    tracemalloc.start()
    for number in range(100_000):
        take = Take(Counter(f"user:name-of-user-{number}", "requests", Sliding(60)), 1, 60)
        store.store.reserve("c", (take,), 60)
        store.store.settle("c", (1,))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 100_000 * 200
    store.clocks.forward(100)
    store.tend()
    store.clocks.forward(100)
    began = time.process_time()
    store.tend()
    assert time.process_time() - began < 0.05  # a thousand at a time


def test_four_counters_are_taken_in_microseconds():
    """Ten on a quiet machine; the bound here leaves room for a busy one."""
    store = a_store().store
    day = Period("2026-09-01@UTC", 2e9)
    takes = [
        Take(Counter("user:alice", "requests", Sliding(60)), 1, 10**9),
        Take(Counter("user:alice", "tokens", Sliding(60)), 500, 10**12),
        Take(Counter("team:lab", "nusd", day), 50_000, 10**15),
        Take(Counter("user:alice", "calls", Slots()), 1, 10**6),
    ]
    each_us = []
    for numbers in itertools.batched(range(5000), 1000):
        began = time.process_time()
        for number in numbers:
            store.reserve(f"c{number}", takes, 60)
        each_us.append((time.process_time() - began) / 1000 * 1e6)
    assert min(each_us) < 60
