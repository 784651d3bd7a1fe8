"""Deadlines of requests, without a timer for each.

A timer per request would keep its stream alive until it fires, a minute after the request is over.  Instead every
HTTP layer has one `Clock` that says when its earliest deadline is; the process looks at all of them a few times a second
and gives the layers that are due an `Overdue`.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Any

from jupiter_addons.host.commands import Clock, Overdue
from jupiter_addons.host.shedding import Shedder

logger = logging.getLogger(__name__)

TICK_S = 0.05
"""How late a deadline may be noticed."""
STALL_S = 0.25
"""A tick that comes this late says that something kept the event loop."""


class Ticker:
    """The process's one timer."""

    def __init__(self) -> None:
        self._clocks: dict[Clock, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self.lag_s = 0.0
        """How late the last tick came: how long whatever arrives now has to wait."""
        self.shedder = Shedder()
        self.stalled: list[Callable[[float], None]] = []
        """Called with the seconds of every stall."""

    def add(self, clock: Clock, handler: Any) -> None:
        """Watch a clock for a connection handler."""
        self._clocks[clock] = handler
        self.start()

    def start(self) -> None:
        """Begin ticking, if that has not happened yet."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, handler: Any) -> None:
        """Stop watching every clock of a connection handler."""
        for clock in handler.clocks:
            self._clocks.pop(clock, None)

    async def _run(self) -> None:
        due, before, used = time.monotonic(), time.monotonic(), time.thread_time()
        while True:
            due = max(due + TICK_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            now, used_now = time.monotonic(), time.thread_time()
            self.lag_s = now - due
            self.shedder.tick(self.lag_s, (used_now - used) / max(now - before, 1e-6), now)
            before, used = now, used_now
            try:
                self._tell(now)
            except Exception:  # whatever it is, every other deadline still has to be kept
                logger.exception("a tick failed")

    def _tell(self, now: float) -> None:
        for clock, handler in list(self._clocks.items()):
            if clock.at <= now:
                clock.at = math.inf
                handler.dispatch(Overdue(clock))
        if self.lag_s > STALL_S:
            for tell in self.stalled:
                tell(self.lag_s)
