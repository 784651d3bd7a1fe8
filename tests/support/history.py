"""What was done to a budget, checked against what must always hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """A line of a history."""

    at_ns: int
    step: str
    call_id: str
    amount: int


@dataclass
class History:
    """All steps of all processes, in the order of time."""

    steps: list[Step]

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "History":
        """Read histories; the last line of a process that was killed may be cut."""
        steps = []
        for path in paths:
            for line in path.read_text().split("\n")[:-1]:
                at_ns, step, call_id, amount = line.split()
                steps.append(Step(int(at_ns), step, call_id, int(amount)))
        return cls(sorted(steps))

    def calls(self, step: str) -> set[str]:
        return {one.call_id for one in self.steps if one.step == step}

    @property
    def most(self) -> int:
        """The most that was certainly taken at any instant: what calls held that had been told so and had not begun to settle,
        and what those came to that had begun."""
        taken: dict[str, int] = {}
        now = most = 0
        for one in self.steps:
            if one.step in ("held", "settles"):
                now += one.amount - taken.get(one.call_id, 0)
                taken[one.call_id] = one.amount
                most = max(most, now)
        return most

    @property
    def least_left(self) -> int:
        """The least that must be counted in the end: what was settled, and what was held by those who could not."""
        return sum(self._last().values())

    @property
    def most_left(self) -> int:
        """The most that may be: calls that had asked and were not told, or had begun to settle and were not told, held theirs."""
        estimate = {one.call_id: one.amount for one in self.steps if one.step == "asks"}
        latest = {one.call_id: one.step for one in self.steps}  # who was refused may have asked again
        unsure = sum(amount for call_id, amount in estimate.items() if latest[call_id] in ("asks", "fails"))
        begun = self.calls("settles") - self.calls("settled")
        last = self._last()
        return self.least_left + unsure + sum(estimate[call_id] - last[call_id] for call_id in begun)

    def _last(self) -> dict[str, int]:
        return {one.call_id: one.amount for one in self.steps if one.step in ("held", "settles")}
