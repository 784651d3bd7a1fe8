"""What is asked of others about a log, again and again, each on a thread of its own, and never in the way of a call.

One that fails is tried again later and later, up to a minute, and only the first time is said.  All of it is said as a
warning: mitmproxy ends a gateway that logs an error while it starts, and whether one starts is not for somebody else to say.
"""

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from jupiter_addons.errors import StoreError, VerificationError

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""How soon it is tried again after it has failed once."""
LONGEST_S = 60.0
"""How long somebody who fails is left alone, at most."""
LAST_WORDS_S = 3.0
"""How long the last checkpoint may take when the gateway ends."""


class Errand(ABC):
    """What one of them is asked."""

    def __init__(self, made: str, every_s: float, counted: Callable[[str], None]) -> None:
        """`made` is what it makes of the log, as in “the log is …”; `counted` is told `ok` or `failed` of each request."""
        self._made, self._every_s, self._counted = made, every_s, counted
        self._failures = 0

    @abstractmethod
    def ask(self) -> bool:
        """Ask about what is newest by now; return False if that has been done.

        Raises StoreError, VerificationError, ValueError.
        """

    def run(self, stopping: threading.Event) -> None:
        """Ask again and again, and once more at the end of a log if that has gone well."""
        while not stopping.wait(self.step()):
            pass
        if not self._failures:
            self.step()

    def step(self) -> float:
        """Ask, if there is something to ask; return how long to wait before the next time."""
        try:
            if self.ask():
                self._counted("ok")
        except (StoreError, VerificationError, ValueError) as error:
            if not self._failures:
                logger.warning("the evidence log is not %s: %s", self._made, error)
            self._failed()
        except Exception:
            logger.warning("having the evidence log %s failed", self._made, exc_info=True)
            self._failed()
        else:
            if self._failures:
                logger.warning("the evidence log is %s again", self._made)
            self._failures = 0
            return self._every_s
        return min(RETRY_S * (1 << min(self._failures, 16)), LONGEST_S)

    def _failed(self) -> None:
        self._failures += 1
        self._counted("failed")


class Errands:
    """Runs errands until it is stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, errands: Iterable[Errand]) -> None:
        """Run some, each on a thread of its own."""
        for errand in errands:
            name = f"evidence-errand-{len(self._threads)}"
            thread = threading.Thread(target=errand.run, args=(self._stopping,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Have the last checkpoint seen to, by whoever does so in time, and end."""
        self._stopping.set()
        until_s = time.monotonic() + LAST_WORDS_S
        for thread in self._threads:
            thread.join(max(0.0, until_s - time.monotonic()))
