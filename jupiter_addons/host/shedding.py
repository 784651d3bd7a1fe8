"""How much is turned away when the process cannot keep up.

A limit on requests in flight does not see what waits in the kernel for an event loop that is busy: with fast providers there is
hardly anything in flight, and everything is late.  What does see it is the loop's own lag.  While it stays above what a
caller may wait, a growing share of requests is refused before it costs anything; when it falls, the share shrinks again
(the idea of CoDel, RFC 8289, with a share in place of drops).  A loop that is late because the machine is busy with something
else sheds nothing: refusing our own requests would not help.
"""

import asyncio
import time

ENTER_S, ENTER_AFTER_S = 0.25, 0.5
"""Shedding begins when the loop has been so late for so long: below it a busy gateway is slow, and serves everybody."""
TARGET_S = 0.04
"""The lag that is aimed at from then on, so that who is refused is refused soon."""
LEAVE_AFTER_S = 2.0
"""Shedding ends when nobody had to be refused for so long."""
BUSY = 0.7
"""The share of a core that the loop must have used for a late tick to be its own doing."""
TURN_S = 0.02
"""How much of what has come may be served before the loop looks again, while some are refused: those wait no longer."""
STEP_UP, STEP_DOWN, MOST = 0.08, 0.04, 0.98


class Shedder:
    """Decides which requests are refused, evenly spread over those that come."""

    def __init__(self) -> None:
        self.share = 0.0
        """How many of the requests that come are refused, from 0 to 1."""
        self._due = 0.0
        self._sheds = False
        self._since: float | None = None
        """Not shedding: since when the loop is late; shedding: when somebody had to be refused last."""
        self._turn: float | None = None

    def _turn_s(self) -> float:
        """Return for how long the event loop has been serving what its last look at the sockets brought."""
        now = time.monotonic()
        if self._turn is None:
            self._turn = now
            asyncio.get_running_loop().call_soon(self._next_turn)
        return now - self._turn

    def _next_turn(self) -> None:
        self._turn = None

    def tick(self, lag_s: float, busy: float, now: float) -> None:
        """Take one measurement: how late the tick came, and which share of the time since the last the loop was at work.

        `now` is in monotonic seconds.
        """
        late = lag_s > (TARGET_S if self._sheds else ENTER_S) and busy > BUSY
        if not self._sheds:
            self._since = self._since if late and self._since is not None else now if late else None
            if self._since is None or now - self._since < ENTER_AFTER_S:
                return
            self._sheds = True
        if late:
            self.share = min(MOST, self.share + STEP_UP * min(3.0, lag_s / TARGET_S))
            self._since = now
            return
        self.share = max(0.0, self.share - STEP_DOWN)
        if self.share:
            self._since = now
        elif self._since is not None and now - self._since > LEAVE_AFTER_S:
            self._sheds, self._since, self._due = False, None, 0.0

    @property
    def sheds(self) -> bool:
        """Whether some of the requests that come are refused."""
        return self._sheds

    def refuses(self) -> bool:
        """Whether the request that has just come is one of those, or one too many for this turn of the loop."""
        if self._turn_s() > TURN_S:
            return True
        self._due += self.share
        if self._due < 1.0:
            return False
        self._due -= 1.0
        return True
