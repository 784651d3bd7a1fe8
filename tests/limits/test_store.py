"""What stores say of themselves."""

import asyncio

from jupiter_addons.limits.store import Bucket, Counter, Period, Short, Shortage, Sliding, Slots, come


def test_a_counter_is_named_by_its_subject_its_unit_and_its_shape():
    names = {
        Sliding(60): "requests/60s",
        Bucket(60): "requests/60s-bucket",
        Period("2026-03@UTC", 1.0): "requests/2026-03@UTC",
        Slots(): "requests/running",
    }
    assert {shape: Counter("user:alice", "requests", shape).series for shape in names} == names


def test_an_answer_comes_at_once_or_is_awaited():
    async def later() -> int:
        return 2

    async def both() -> tuple[int, int]:
        return await come(1), await come(later())

    assert asyncio.run(both()) == (1, 2)


def test_a_shortage_ends_when_its_last_counter_is_free():
    short = Short({0: Shortage(0, 1.0, 0), 3: Shortage(5, 8.0, 0), 4: Shortage(1, 2.0, 0)})
    assert (short.last, short.retry_after_s) == (3, 8.0)
