"""limits.db: the store of the processes of one host.  It outlives them, however they end.

What a call waits for is answered at once, unless another process is in the middle of a transaction: then it is an awaitable, so
that the event loop goes on.  Calls that wait do so in a line, and only the first looks whether the way is free.  If it is not
for `MOST_S`, something hangs, and all of them fail.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from jupiter_addons.limits.counting import MAX_SUBJECTS, Counting
from jupiter_addons.limits.store import Count, Counter, Expired, Held, Short, Soon, Take, Taken, come
from jupiter_addons.limits.tables import NS
from jupiter_addons.storage import limits_meta
from jupiter_addons.storage.limits_database import FIRST_WAIT_S, SPIN_S, BusyError, LimitsDatabase
from jupiter_addons.storage.limits_kept import KeptBooks
from jupiter_addons.storage.limits_meta import Doubt
from jupiter_addons.storage.steady import boot_id, boot_ns

MOST_S = 0.25
"""The longest that the first call in the line waits for other processes."""
RETRY_S = 0.001
"""How often it looks."""
RESET_AT_ONCE = 100
"""So many counters are reset in one transaction, which others wait for."""


class SqliteStore:
    """See `store.Store` for the contract."""

    def __init__(
        self,
        path: Path,
        *,
        kernel_ns: Callable[[], int] = boot_ns,
        wall_s: Callable[[], float] = time.time,
        boot: str | None = None,
        max_subjects: int = MAX_SUBJECTS,
        alone: bool = False,
    ) -> None:
        """Open or create the database.  Raises StoreError; `kernel_ns` and `boot` are the clock and the name of this boot.

        `alone`: have it to itself, which costs much less, for as long as no other process wants it.
        """
        self._books = KeptBooks(wall_s)
        boot = boot_id() if boot is None else boot
        self.database = LimitsDatabase(path, self._books, kernel_ns, boot, alone=alone)
        self._counting = Counting(self._books, self.database.now_ns, max_subjects)
        self._line = asyncio.Lock()
        self._length = 0
        """How many calls wait."""

    @property
    def doubt(self) -> Doubt | None:
        """Whether what is counted may not be what was taken."""
        return self.database.doubt

    def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float) -> Soon[Held | Short]:
        """Take everything or nothing."""
        return self._soon(self._counting.reserve, call_id, takes, lease_s)

    def extend(self, call_id: str, more: Sequence[int]) -> Soon[Held | Short]:
        """Take more, or nothing."""
        return self._soon(self._counting.extend, call_id, more)

    def settle(self, call_id: str, amounts: Sequence[int]) -> Soon[bool]:
        """End a call at what it truly came to."""
        return self._soon(self._counting.settle, call_id, amounts)

    def renew(self, call_ids: Iterable[str], lease_s: float) -> Sequence[str]:
        """Let leases last from now; return the calls that were not open any more."""

        if self.database.is_alone:
            return self.database.step(self._counting.renew, call_ids, lease_s)

        def renew() -> Sequence[str]:
            until_ns, cursor, lost = self.database.now_ns() + int(lease_s * NS), self._books.cursor, []
            for call_id in call_ids:
                statement = "UPDATE hold SET until_ns = ? WHERE id = ? RETURNING 1"
                if cursor.execute(statement, (until_ns, call_id)).fetchone() is None:
                    lost.append(call_id)
            return lost

        return self.database.do(renew)

    def tend(self, most: int = 1000) -> Sequence[Expired]:
        """End what has run out, and forget what is empty."""
        self.database.look()
        self.database.give_way()

        def tend() -> Sequence[Expired]:
            self.database.note_the_time()
            return self._counting.tend(most)

        return self.database.do(tend)

    def usage(self, counters: Sequence[Counter]) -> Sequence[Count]:
        """Return what counters hold."""
        return self.database.step(self._counting.usage, counters, writes=False)

    def adjust(self, counter: Counter, change: int) -> None:
        """Count so much more, or less."""
        self.database.step(self._counting.adjust, counter, change)

    async def reset(self, counters: Sequence[Counter]) -> None:
        """Forget what was taken, except what open calls hold; of many counters not of all at once."""
        for some in itertools.batched(counters, RESET_AT_ONCE):
            if self.database.is_alone:
                self.database.do(self._counting.reset, some)
            else:
                await come(self._soon(self._counting.reset, some))
            await asyncio.sleep(0)

    def restore(self, taken: Iterable[Taken]) -> None:
        """Count what the evidence says was taken; the store is no longer lost then."""

        def restore() -> None:
            self._counting.restore(taken)
            limits_meta.restored(self._books.cursor)

        self.database.do(restore, wait_s=FIRST_WAIT_S, restoring=True)
        self.database.doubt = None

    def vouch(self) -> None:
        """Know that what the evidence has is counted: the store is no longer stale."""
        self.database.do(lambda: limits_meta.vouched(self._books.cursor), wait_s=FIRST_WAIT_S)
        self.database.doubt = None

    def open_calls(self) -> int:
        """Return how many calls are not settled."""
        return self.database.do(self._counting.open_calls, writes=False)

    def close(self) -> None:
        """Let go of the database; a second call changes nothing."""
        self.database.close()

    def _soon[*Ts, T](self, what: Callable[[*Ts], T], *args: *Ts) -> Soon[T]:
        if not self._length:
            try:
                return self.database.step(what, *args, wait_s=SPIN_S)
            except BusyError:
                pass
        return self._in_line(what, *args)

    async def _in_line[*Ts, T](self, what: Callable[[*Ts], T], *args: *Ts) -> T:
        self._length += 1
        try:
            async with self._line:
                until_s = time.monotonic() + MOST_S
                while True:
                    try:
                        return self.database.do(what, *args, wait_s=0.0)
                    except BusyError as error:
                        if time.monotonic() >= until_s:
                            raise self.database.fail(error) from error
                    await asyncio.sleep(RETRY_S)
        finally:
            self._length -= 1
