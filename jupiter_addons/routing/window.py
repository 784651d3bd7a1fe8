"""How often something went well or badly lately: two counts over a sliding window, in constant space and time."""

_STEPS = 10
"""Into so many steps a window is cut; what is older than the window leaves it a step at a time."""


class Window:
    """Two counts over the last `span_s` seconds.  Time is an argument, in monotonic seconds."""

    __slots__ = ("_bad", "_bads", "_good", "_goods", "_newest", "_step_s")

    def __init__(self, span_s: float) -> None:
        self._step_s = span_s / _STEPS
        self._goods, self._bads = [0] * _STEPS, [0] * _STEPS
        self._good = self._bad = 0
        """The sums of the steps, which are asked for more often than they change."""
        self._newest: int | None = None

    def add(self, now_s: float, *, good: int = 0, bad: int = 0) -> None:
        """Count what happened now."""
        at = self._advance(now_s) % _STEPS
        self._goods[at] += good
        self._bads[at] += bad
        self._good += good
        self._bad += bad

    def totals(self, now_s: float) -> tuple[int, int]:
        """Return how often it went well and how often badly."""
        self._advance(now_s)
        return self._good, self._bad

    def bad_share(self, now_s: float, least: int) -> float:
        """Return the share of what went badly, 0.0 while fewer than `least` have been counted."""
        good, bad = self.totals(now_s)
        return bad / (good + bad) if good + bad >= max(least, 1) else 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._goods, self._bads = [0] * _STEPS, [0] * _STEPS
        self._good = self._bad = 0

    def _advance(self, now_s: float) -> int:
        """Empty the steps that have left the window; return the number of the newest one."""
        step, newest = int(now_s // self._step_s), self._newest
        if step == newest:
            return step
        if newest is None or step - newest > _STEPS:
            self.clear()
            newest = step
        for passed in range(newest + 1, step + 1):
            at = passed % _STEPS
            self._good -= self._goods[at]
            self._bad -= self._bads[at]
            self._goods[at] = self._bads[at] = 0
        self._newest = max(newest, step)
        return self._newest
