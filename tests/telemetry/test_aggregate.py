"""Sums over workers: every sample once, and none that ever goes down."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from jupiter_addons.telemetry.aggregate import Sums


class Worker:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("calls", "Calls.", ("code",), registry=self.registry)
        self.open = Gauge("open", "Open.", registry=self.registry)
        self.took = Histogram("took_seconds", "Took.", buckets=(1, 2), registry=self.registry)

    def text(self) -> str:
        return generate_latest(self.registry).decode()


def read(sums: Sums, more: str = "") -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(sums.render(more).decode())
        for sample in family.samples
    }


def test_samples_with_the_same_name_and_labels_are_added():
    a, b, sums = Worker(), Worker(), Sums()
    a.calls.labels("ok").inc(2)
    b.calls.labels("ok").inc(3)
    b.calls.labels('a "quoted"\nname').inc()
    a.open.set(1)
    b.open.set(4)
    a.took.observe(0.5)
    b.took.observe(1.5)
    sums.update(0, a.text())
    sums.update(1, b.text())
    found = read(sums)
    assert found["calls_total[('code', 'ok')]"] == 5
    assert found["calls_total[('code', 'a \"quoted\"\\nname')]"] == 1
    assert found["open[]"] == 5
    assert found["took_seconds_bucket[('le', '1.0')]"] == 1
    assert found["took_seconds_bucket[('le', '2.0')]"] == 2
    assert found["took_seconds_count[]"] == 2
    assert found["took_seconds_sum[]"] == 2.0
    assert not any("_created" in name for name in found)


def test_what_a_worker_had_counted_outlives_it_and_what_it_held_does_not():
    a, b, sums = Worker(), Worker(), Sums()
    a.calls.labels("ok").inc(7)
    a.calls.labels("only-here").inc(1)
    a.open.set(9)
    sums.update(0, a.text())
    sums.update(1, b.text())
    sums.retire(0)
    assert read(sums)["open[]"] == 0
    fresh = Worker()
    fresh.calls.labels("ok").inc(1)
    sums.update(0, fresh.text())
    found = read(sums)
    assert found["calls_total[('code', 'ok')]"] == 8
    assert found["calls_total[('code', 'only-here')]"] == 1


def test_retiring_whoever_was_never_seen_changes_nothing_and_more_is_appended():
    sums = Sums()
    sums.retire(3)
    assert read(sums, "extra 4\n") == {"extra[]": 4}
