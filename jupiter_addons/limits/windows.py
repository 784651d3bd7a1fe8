"""A sliding window that never admits too much.

The window is cut into sub-buckets, and the oldest one, which has partly left the window, is counted in full until it has
left entirely.  So no window of the configured length, wherever it starts, ever holds more than the limit; the price is
that a refusal may come up to one sub-bucket early.  Fixed windows admit twice the limit around their edge, and an
exact log keeps an entry per unit.
"""

from collections import deque

BUCKETS = 10


class Window:
    """The amounts taken in the last `window_ns` nanoseconds."""

    __slots__ = ("_bucket_ns", "_buckets", "taken")

    def __init__(self, window_ns: int) -> None:
        self._bucket_ns = -(-window_ns // BUCKETS)
        self._buckets: deque[list[int]] = deque()  # [number of the bucket, amount], oldest first
        self.taken = 0
        """What counts against the limit as of the last `advance`."""

    def advance(self, now_ns: int) -> None:
        """Let go of what has left the window."""
        oldest = now_ns // self._bucket_ns - BUCKETS
        while self._buckets and self._buckets[0][0] < oldest:
            self.taken -= self._buckets.popleft()[1]

    def take(self, amount: int, now_ns: int) -> int:
        """Add `amount` and return the number of its bucket; the caller has called `advance` and compared `taken`."""
        number = now_ns // self._bucket_ns
        if self._buckets and self._buckets[-1][0] == number:
            self._buckets[-1][1] += amount
        else:
            self._buckets.append([number, amount])
        self.taken += amount
        return number

    def correct(self, number: int, change: int) -> None:
        """Add to a bucket what it has too little, or take out what it has too much; one that has left is left alone."""
        for bucket in self._buckets:
            if bucket[0] == number:
                bucket[1] += change
                self.taken += change
                return

    @property
    def holds_nothing(self) -> bool:
        """Whether everything has left, and nothing that has been taken can still be corrected."""
        return not self._buckets

    def free_after_ns(self, needed: int, now_ns: int) -> int:
        """Return in how many nanoseconds `needed` of what is taken now will have left, if nothing more is taken."""
        for number, amount in self._buckets:
            needed -= amount
            if needed <= 0:
                return max(0, (number + BUCKETS + 1) * self._bucket_ns - now_ns)
        return (BUCKETS + 1) * self._bucket_ns

    def reset_after_ns(self, now_ns: int) -> int:
        """Return in how many nanoseconds the window will be empty, if nothing more is taken."""
        if not self._buckets:
            return 0
        return max(0, (self._buckets[-1][0] + BUCKETS + 1) * self._bucket_ns - now_ns)
