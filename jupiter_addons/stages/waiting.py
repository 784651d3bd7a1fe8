"""Waiting for a limit that lets calls wait: in a line, for a while, one call trying at a time."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence

from jupiter_addons.limits.ledger import Exceeded, Reservation
from jupiter_addons.limits.limit import Limit
from jupiter_addons.limits.lines import Line

POLL_S = 0.1
"""How often what may be given back at any moment is looked for: tokens and money of calls that end, calls that run."""

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
    """A place in a line; set when it is its turn, or when it has lost it."""

    is_out = False


class Lines:
    """The lines of all limits."""

    def __init__(self, depth: int, timeout_s: float) -> None:
        self._depth = depth
        self._timeout_s = timeout_s
        self._lines: dict[tuple[str, str], Line[Ticket]] = {}

    def of(self, limits: Sequence[Limit]) -> Limit | None:
        """Return a limit for which others wait already: whoever comes now waits behind them."""
        queued = (limit for limit in limits if limit.terms.enforcement == "queue")
        return next((limit for limit in queued if (limit.subject, limit.name) in self._lines), None)

    async def wait(
        self, limit: Limit, principal: str, retry_after_s: float, attempt: Attempt
    ) -> Reservation | Exceeded:
        """Wait for a limit; return what the attempt that ended the waiting came to.  Raises TimedOut.

        An attempt that another limit refuses, one that lets nobody wait, ends it.
        """
        deadline = time.monotonic() + self._timeout_s
        key, ticket = (limit.subject, limit.name), Ticket()
        line = self._lines.setdefault(key, Line(self._depth))
        if (out := line.join(principal, ticket)) is not None:
            out.is_out = True
            out.set()
        try:
            if line.first is not ticket:
                await _until(ticket, deadline)
            if ticket.is_out:
                raise TimedOut(FULL_S)
            at_once = limit.kind.unit != "requests"  # what runs may give back at any moment
            while (left_s := deadline - time.monotonic()) > 0 and (at_once or retry_after_s <= left_s):
                await asyncio.sleep(min(POLL_S if at_once else retry_after_s, left_s))
                outcome = await attempt()  # INVARIANT: never cancelled, because what it takes would be nobody's
                if isinstance(outcome, Reservation) or not _waits(outcome):
                    return outcome
                retry_after_s = outcome.retry_after_s
            raise TimedOut(retry_after_s)
        finally:
            if not ticket.is_out:
                line.leave(principal, ticket)
            if (following := line.first) is not None:
                following.set()
            else:
                del self._lines[key]


async def _until(ticket: Ticket, deadline: float) -> None:
    try:
        await asyncio.wait_for(ticket.wait(), deadline - time.monotonic())
    except TimeoutError:
        raise TimedOut(FULL_S) from None


def _waits(exceeded: Exceeded) -> bool:
    queued = all(limit.terms.enforcement == "queue" for limit in exceeded.every)
    return queued and math.isfinite(exceeded.retry_after_s)  # else it alone is more than a limit
