"""Of each alert somebody is told once in its window, and again in the next one, however short a window is."""

import asyncio
import time

import pytest
from support.trial import Clocks

from jupiter_addons.limits.alerts import Alert
from jupiter_addons.limits.ledger import Ledger
from jupiter_addons.limits.limit import Terms, limit_of
from jupiter_addons.limits.memory import MemoryStore
from jupiter_addons.limits.store import Sliding
from jupiter_addons.stages.warn import Warnings


@pytest.mark.parametrize("window_s", [1, 60, 86_400])
def test_an_alert_is_told_once_in_its_window_and_again_in_the_next(window_s: int, monkeypatch: pytest.MonkeyPatch):
    clocks, told = Clocks(), list[str]()
    monkeypatch.setattr(time, "monotonic", lambda: clocks.steady / 1e9)
    ledger = Ledger(MemoryStore(clocks.steady_ns, clocks.wall_s), wall_s=clocks.wall_s)
    warnings = Warnings(ledger, lambda line, _call: told.append(line.message), "http://127.0.0.1:1/")
    alert = Alert(limit_of("team:lab", "requests_per_minute", Terms(4)), 50, Sliding(window_s))

    async def tell(after: float) -> int:
        clocks.forward(after)
        await warnings.tell([alert], "c")
        return len(told)

    async def run() -> list[int]:
        return [await tell(share * window_s) for share in (0, 0.05, 0.5, 0.4, 0.3)]

    assert asyncio.run(run()) == [1, 1, 1, 1, 2]
