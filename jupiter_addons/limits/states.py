"""Where tables keep what they know of a subject.

A million subjects have to fit in memory, so a subject is one entry of a dict with one small tuple behind it, and nobody keeps a
list of who was seen last.  Instead there are two halves, and what is used moves to the young one; when all that the old half
holds has had the time to run empty, it is put aside and the halves change places.  What was put aside is freed a little at a
time.
"""

from typing import Protocol


class States[State](Protocol):
    """Subject -> state."""

    def get(self, subject: str) -> State | None:
        """Return a state."""

    def put(self, subject: str, state: State) -> None:
        """Keep a state."""

    def drop(self, subject: str) -> None:
        """Forget a subject."""

    def last(self, life_ns: int) -> None:
        """Know that a state may matter for so long after its last use."""

    def idle(self, most: int, now_ns: int) -> None:
        """Forget up to `most` subjects whose states do not matter any more."""

    def __len__(self) -> int:
        """Return how many subjects are kept."""


class Halves[State]:
    """Subject -> state, without those that nobody has used for `life_ns`."""

    __slots__ = ("_old", "_since_ns", "_spent", "_young", "life_ns")

    def __init__(self, life_ns: int) -> None:
        self.life_ns = life_ns
        self._young: dict[str, State] = {}
        self._old: dict[str, State] = {}
        self._spent: list[dict[str, State]] = []
        self._since_ns: int | None = None

    def get(self, subject: str) -> State | None:
        """Return a state."""
        found = self._young.get(subject)
        return self._old.get(subject) if found is None else found

    def put(self, subject: str, state: State) -> None:
        """Keep a state; it is used now."""
        self._young[subject] = state
        if self._old:
            self._old.pop(subject, None)

    def drop(self, subject: str) -> None:
        """Forget a subject."""
        self._young.pop(subject, None)
        self._old.pop(subject, None)

    def last(self, life_ns: int) -> None:
        """Keep all states for so long, from now on."""
        self.life_ns = max(self.life_ns, life_ns)

    def idle(self, most: int, now_ns: int) -> None:
        """Put aside what is idle, and free some of it."""
        if self._since_ns is None:
            self._since_ns = now_ns
        if now_ns - self._since_ns > self.life_ns:
            if self._old:
                self._spent.append(self._old)
            self._old, self._young, self._since_ns = self._young, {}, now_ns
        for _ in range(most):
            if not self._spent:
                return
            if self._spent[-1]:
                self._spent[-1].popitem()
            else:
                self._spent.pop()

    def __len__(self) -> int:
        """Return how many subjects are kept."""
        return len(self._young) + len(self._old)


class Forever(dict[str, int]):
    """Subject -> amount, until it is dropped."""

    __slots__ = ()

    def put(self, subject: str, state: int) -> None:
        """Keep an amount."""
        self[subject] = state

    def drop(self, subject: str) -> None:
        """Forget a subject."""
        self.pop(subject, None)

    def last(self, life_ns: int) -> None:
        """Know what is so of amounts anyway."""

    def idle(self, most: int, now_ns: int) -> None:
        """Forget any `most`; who asks knows that none matters."""
        for _ in range(min(most, len(self))):
            self.popitem()
