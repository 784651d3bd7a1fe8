"""The thread that empties a spool: it tries to reach the server, less and less often, and sends on what is there.

Pauses are drawn by chance, or all instances of a gateway would come back to a server that starts at the same moment.
"""

import logging
import random
import threading
from collections.abc import Callable

from jupiter_addons.errors import StoreError
from jupiter_addons.storage import postgres

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class Drain:
    """One thread; it sleeps while nothing is spooled."""

    def __init__(self, reconnect: Callable[[], None], send_some: Callable[[], bool]) -> None:
        """`send_some` sends a batch and returns whether there are more.  Both raise StoreError or what the driver raises."""
        self._reconnect = reconnect
        self._send_some = send_some
        self._wanted = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Have it work until all is sent."""
        self._wanted.set()
        if self._thread is None and not self._ending.is_set():
            self._thread = threading.Thread(target=self._run, name="evidence-drain", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop it for good, after the batch that is under way."""
        self._ending.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def once(self) -> None:
        """Send all there is, here and now.  Raises what is in the way."""
        self._reconnect()
        while self._send_some():
            pass

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            self._wanted.wait()
            if self._ending.is_set():
                return
            self._wanted.clear()
            try:
                self._reconnect()
                while self._send_some():
                    pause_s = FIRST_PAUSE_S
                    if self._ending.is_set():
                        return
            except (StoreError, *postgres.ERRORS) as error:
                logger.debug("not drained yet: %s", error)
            except Exception:
                logger.exception("draining the spool failed")
            else:
                logger.warning("all spooled leaves are where they belong")
                pause_s = FIRST_PAUSE_S
                continue
            self._wanted.set()
            self._ending.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
