"""Waiting for a limit: in a line, for a while, one call trying at a time.

Two kinds of calls wait.  One kind is under limits that let calls wait (`queue`): whoever comes later goes behind it.  The other
is refused although nothing but what others hold is in its way: most of that comes back, because it is held at a worst case.
Such a call waits a little before it is refused; one that fits meanwhile does not wait behind it, since a small call would
stand behind a large one at every budget that is nearly spent.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.limit import Limit
from jupiter_addons.limits.lines import Line

POLL_S = 0.1
"""How often what may be given back at any moment is looked for: tokens and money of calls that end, calls that run.  What
comes back in this process is told at once."""

FULL_S = 1.0
"""When to come back to a line that was too long."""

type Attempt = Callable[[], Awaitable[Reservation | Exceeded]]


class TimedOut(Exception):  # noqa: N818 - no fault: the answer to a call that has waited in vain
    """The time that calls may wait is over, or too many wait already."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.retry_after_s = retry_after_s
        """When the limit may be free, as far as is known."""


class Ticket(asyncio.Event):
    """A place in a line; set when it is its turn, when it has lost it, and when it may be worth while to try again."""

    is_out = False

    def __init__(self, is_gone: Callable[[], bool]) -> None:
        """`is_gone` is as in `Lines.wait`."""
        super().__init__()
        self.is_gone = is_gone

    def lose(self) -> None:
        """Have no place any more."""
        self.is_out = True
        self.set()

    async def comes(self, within_s: float) -> None:
        """Wait until it is set, and no longer than so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), within_s)


class Lines:
    """The lines of all limits."""

    def __init__(self, ledger: Ledger, *, depth: int, timeout_s: float, wait_for_held_s: float) -> None:
        """`wait_for_held_s`: how long calls wait whose limits let nobody wait, for what others hold."""
        self._ledger = ledger
        self._depth = depth
        self._timeout_s = timeout_s
        self._wait_for_held_s = wait_for_held_s
        self._lines: dict[tuple[str, str], Line[Ticket]] = {}

    def of(self, limits: Sequence[Limit]) -> Limit | None:
        """Return a limit for which others wait already: whoever comes now waits behind them."""
        if not self._lines:
            return None
        queued = (limit for limit in limits if limit.terms.enforcement == "queue")
        return next((limit for limit in queued if _key(limit) in self._lines), None)

    def may_wait(self, exceeded: Exceeded) -> bool:
        """Whether a call that was refused may wait instead: all of its limits let it, or only what is held is in its way."""
        for limit, wait_s in exceeded.every.items():
            if limit in exceeded.held_back and self._wait_for_held_s:
                continue
            if limit.terms.enforcement != "queue" or math.isinf(wait_s):  # never: it alone is more than a limit
                return False
        return True

    async def wait(
        self,
        limit: Limit,
        principal: str,
        refused: Exceeded | None,
        attempt: Attempt,
        *,
        since_s: float | None = None,
        is_gone: Callable[[], bool] = lambda: False,
    ) -> Reservation | Exceeded:
        """Wait for a limit; return what the attempt that ended the waiting came to.  Raises TimedOut.

        `refused` is what an attempt has come to already.  One that another limit refuses, which lets nobody wait, ends it.  A
        call that waits for what is held is refused in the end as it was at first, because its limits let nobody wait.
        `since_s`: since when it has waited, for other limits before, on the monotonic clock.  `is_gone`: whether nobody waits
        for its answer any more; it takes nothing then, and does not use its turn.
        """
        began_s = time.monotonic() if since_s is None else since_s
        key, ticket = _key(limit), Ticket(is_gone)
        line = self._lines.setdefault(key, Line(self._depth))
        self._ledger.on_settled.add(self._came_back)
        if len(line) >= self._depth:
            _clear(line)
        if (out := line.join(principal, ticket)) is not None:
            out.lose()
        try:
            if line.first is not ticket:
                await ticket.comes(began_s + self._longest_s(refused) - time.monotonic())
            if ticket.is_out or line.first is not ticket:
                return _in_vain(refused, FULL_S)
            at_once = limit.kind.unit != "requests"  # what runs may give back at any moment
            retry_after_s = 0.0 if refused is None else refused.retry_after_s
            while not is_gone():
                left_s = began_s + self._longest_s(refused) - time.monotonic()
                if left_s <= 0 or (retry_after_s > left_s and not at_once):
                    return _in_vain(refused, retry_after_s)
                await ticket.comes(min(POLL_S if at_once else retry_after_s, left_s))
                ticket.clear()
                if is_gone():
                    break
                outcome = await attempt()  # INVARIANT: never cancelled, because what it takes would be nobody's
                if isinstance(outcome, Reservation) or not self.may_wait(outcome):
                    return outcome
                refused, retry_after_s = outcome, outcome.retry_after_s
            return _in_vain(refused, retry_after_s)
        finally:
            had_turn = line.first is ticket
            if not ticket.is_out:
                line.leave(principal, ticket)
            if (following := line.first) is None:
                if self._lines.get(key) is line:  # who lost his place may leave when there is another
                    del self._lines[key]
            elif had_turn:
                following.set()
            if not self._lines:
                self._ledger.on_settled.discard(self._came_back)

    def _longest_s(self, refused: Exceeded | None) -> float:
        """Return how long a call may wait in all."""
        return self._timeout_s if _is_queued(refused) else self._wait_for_held_s

    def _came_back(self, held: Reservation) -> None:
        """Have those try again who are first in line for what a call held."""
        for limit in held.limits:
            line = self._lines.get(_key(limit))
            if line is not None and line.first is not None and limit.kind.unit != "requests":
                line.first.set()


def _clear(line: Line[Ticket]) -> None:
    """Take those out who have gone; whoever has the turn leaves by himself."""
    for principal, ticket in list(line):
        if ticket.is_gone() and ticket is not line.first:
            line.leave(principal, ticket)
            ticket.lose()


def _key(limit: Limit) -> tuple[str, str]:
    return limit.subject, limit.name


def _is_queued(refused: Exceeded | None) -> bool:
    """Whether every limit that refuses a call lets calls wait; of a call that has not tried yet, the one it waits for does."""
    return refused is None or all(limit.terms.enforcement == "queue" for limit in refused.every)


def _in_vain(refused: Exceeded | None, retry_after_s: float) -> Exceeded:
    """Return how a call is refused that has waited for what is held.  Raises TimedOut if its limits let it wait."""
    if refused is None or _is_queued(refused):
        raise TimedOut(retry_after_s)
    return refused
