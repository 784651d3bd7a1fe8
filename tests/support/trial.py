"""A store of counters on trial: any of them, with clocks that the test moves, answered at once or awaited, as it needs."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jupiter_addons.limits.store import Count, Counter, Expired, Held, Short, Soon, Store, Take, Taken, come

NS = 1_000_000_000


@dataclass
class Clocks:
    """A steady clock and a wall clock."""

    steady: int = 1_000 * NS
    wall: float = 1_790_000_000.0

    def steady_ns(self) -> int:
        return self.steady

    def wall_s(self) -> float:
        return self.wall

    def forward(self, seconds: float) -> None:
        self.steady += round(seconds * NS)
        self.wall += seconds


class Trial:
    """A store and its clocks; the methods are the store's own."""

    def __init__(self, store: Store, clocks: Clocks) -> None:
        self.store = store
        self.clocks = clocks
        self._loop: asyncio.AbstractEventLoop | None = None

    def close(self) -> None:
        self.store.close()
        if self._loop is not None:
            self._loop.run_until_complete(asyncio.sleep(0))  # what was closed has gone then
            self._loop.close()

    def answer[T](self, soon: Soon[T]) -> T:
        if not hasattr(soon, "__await__"):
            return soon
        self._loop = self._loop or asyncio.new_event_loop()
        return self._loop.run_until_complete(come(soon))

    def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float = 60) -> Held | Short:
        return self.answer(self.store.reserve(call_id, takes, lease_s))

    def held(self, call_id: str, *takes: Take, lease_s: float = 60) -> Held:
        found = self.reserve(call_id, takes, lease_s)
        assert isinstance(found, Held), found
        return found

    def short(self, call_id: str, *takes: Take) -> Short:
        found = self.reserve(call_id, takes)
        assert isinstance(found, Short), found
        return found

    def extend(self, call_id: str, *more: int) -> Held | Short:
        return self.answer(self.store.extend(call_id, more))

    def settle(self, call_id: str, *amounts: int) -> bool:
        return self.answer(self.store.settle(call_id, amounts))

    def renew(self, call_ids: Iterable[str], lease_s: float = 60) -> Sequence[str]:
        return self.answer(self.store.renew(call_ids, lease_s))

    def tend(self) -> Sequence[Expired]:
        return self.answer(self.store.tend())

    def count(self, counter: Counter) -> Count:
        return self.answer(self.store.usage([counter]))[0]

    def taken(self, counter: Counter) -> int:
        return self.count(counter).taken

    def adjust(self, counter: Counter, change: int) -> None:
        self.answer(self.store.adjust(counter, change))

    def reset(self, *counters: Counter) -> None:
        self.answer(self.store.reset(counters))

    def restore(self, *taken: Taken) -> None:
        self.answer(self.store.restore(taken))

    def open_calls(self) -> int:
        return self.answer(self.store.open_calls())
