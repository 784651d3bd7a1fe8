"""The store of several hosts: counters in a Redis server of version 7 or newer, one script for each method.

*Time* is the server's, so that hosts whose clocks differ do not disagree.  A server whose clock is set back counts for longer;
one whose clock is set forward lets windows run out early, and nobody here could tell.

*Loss.*  A server that was emptied, restarted without its data, or replaced by a replica without them answers like one that
nobody has used.  So every script looks whether this member of the gateway has told what its evidence says was taken
(`restore`); if the server does not know that any more, the answer is StoreError until it is told again.  Other members' part is
missing until they have told theirs; a member waits for those it knew of, for `JOIN_S` at most.

The scripts say how things are kept.  All keys have one hash tag.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any

import orjson

from jupiter_addons.addresses import RedisAddress
from jupiter_addons.errors import StoreError
from jupiter_addons.limits.counting import MAX_SUBJECTS
from jupiter_addons.limits.store import (
    REMEMBERED_S,
    Bucket,
    Count,
    Counter,
    Expired,
    Held,
    Period,
    Short,
    Shortage,
    Sliding,
    Take,
    Taken,
)
from jupiter_addons.limits.tables import GRACE_S
from jupiter_addons.storage.limits_packing import counter_of, counter_row
from jupiter_addons.storage.redis_connection import RedisConnection, RefusedError, UnansweredError

logger = logging.getLogger(__name__)

US = 1_000_000
JOIN_S = 5.0
"""So long a member that has told its part waits for the others' after a loss."""
OLDEST = (7, 0)

type Word = str | bytes | int


@dataclass(frozen=True, slots=True)
class Script:
    """A script and its name at the server."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        """Work out the name."""
        object.__setattr__(self, "digest", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


@cache
def script(name: str) -> Script:
    """Return the script of a method."""
    folder = files("jupiter_addons.storage") / "lua"
    head = f"local RESTORES, GRACE = {str(name == 'restore').lower()}, {int(GRACE_S) * US}\n"
    head += f"local REMEMBERED = {REMEMBERED_S * US}\n"
    return Script(head + "".join((folder / f"{part}.lua").read_text() for part in ("prelude", name)))


class RedisStore:
    """See `store.Store` for the contract.  Every method returns an awaitable."""

    def __init__(
        self,
        where: RedisAddress,
        name: str,
        member: str,
        *,
        steady_ns: Callable[[], int] | None = None,
        wall_s: Callable[[], float] = time.time,
        max_subjects: int = MAX_SUBJECTS,
    ) -> None:
        """`name` tells gateways that share a server apart, `member` the processes of one gateway; `steady_ns`: another clock
        than the server's."""
        self._where = where
        self._prefix = f"{{jupiter:{name}}}:"
        self._member = member
        self._steady_ns = steady_ns
        self._wall_s = wall_s
        self._max_subjects = max_subjects
        self._connection = RedisConnection(where, self._greet)
        self._members: set[str] = set()
        self._awaited: set[str] = set()
        self._awaited_until_s = 0.0
        self._is_telling = self._has_warned = False
        self._unsure: dict[str, int] = {}
        """Calls that may have been reserved, though they were told otherwise -> the number of their takes."""
        self.is_lost = False
        """Whether the server does not know what was taken, as far as is known."""

    # -- the contract -------------------------------------------------------------------------------------------------

    async def reserve(self, call_id: str, takes: Sequence[Take], lease_s: float) -> Held | Short:
        """Take everything or nothing."""
        if self._awaited:
            self._wait_for_others()
        told = orjson.dumps([counter_row(take[0]) for take in takes])
        words: list[Word] = [call_id, math.ceil(lease_s * US), told, len(takes)]
        for counter, amount, cap, rate in takes:
            words += self._words(counter)
            words += (amount, cap, rate, counter.crowd or "", self._max_subjects)
        try:
            return _outcome(call_id, await self._run("reserve", *words))
        except (UnansweredError, asyncio.CancelledError):
            self._unsure[call_id] = len(takes)
            raise

    async def extend(self, call_id: str, more: Sequence[int]) -> Held | Short:
        """Take more, or nothing."""
        answer = await self._run("extend", call_id, len(more), *more)
        if answer[0] == 2:
            raise StoreError("a call that is not open cannot take more")
        return _outcome(call_id, answer)

    async def settle(self, call_id: str, amounts: Sequence[int]) -> bool:
        """End a call at what it truly came to."""
        return bool(await self._run("settle", call_id, len(amounts), *amounts))

    async def renew(self, call_ids: Iterable[str], lease_s: float) -> Sequence[str]:
        """Let leases last from now; return the calls that were not open any more."""
        lost = await self._run("renew", math.ceil(lease_s * US), *call_ids)
        return [call_id.decode() for call_id in lost]

    async def tend(self, most: int = 1000) -> Sequence[Expired]:
        """End what has run out; what is empty the server forgets by itself.

        What was taken for calls that nobody heard of is given back before.
        """
        await self._connection.connect()
        for call_id, count in list(self._unsure.items()):
            await self.settle(call_id, (0,) * count)
            del self._unsure[call_id]
        ended, members = await self._run("tend", most)
        self._members = {member.decode() for member in members}
        self._awaited -= self._members
        return [_expired(*one) for one in ended]

    async def usage(self, counters: Sequence[Counter]) -> Sequence[Count]:
        """Return what counters hold."""
        found = [int(number) for number in await self._run("usage", len(counters), *self._all_words(counters))]
        return [Count(*pair) for pair in zip(found[::2], found[1::2], strict=True)]

    async def adjust(self, counter: Counter, change: int) -> None:
        """Count so much more, or less."""
        await self._run("adjust", *self._words(counter), change)

    async def reset(self, counters: Sequence[Counter]) -> None:
        """Forget what was taken, except what open calls hold."""
        await self._run("reset", len(counters), *self._all_words(counters))

    async def restore(self, taken: Iterable[Taken]) -> None:
        """Count what this member's evidence says was taken.  Raises StoreError if it has told that already."""
        words: list[Word] = []
        entries = sorted(taken, key=lambda one: -one.age_s)
        for counter, amount, age_s in entries:
            words += (*self._words(counter), amount, math.ceil(age_s * US))
        known, self._is_telling = self._members, True
        try:
            if not await self._run("restore", len(entries), *words, patient=True):
                raise StoreError(f"{self._where} knows already what was taken")
        finally:
            self._is_telling = False
        self.is_lost = False
        self._awaited = known - {f"m:{self._member}"}
        self._awaited_until_s = time.monotonic() + JOIN_S

    async def open_calls(self) -> int:
        """Return how many calls are not settled."""
        return int(await self._run("open_calls"))

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    # -- how it is asked ----------------------------------------------------------------------------------------------

    def _words(self, counter: Counter) -> tuple[Word, Word, Word]:
        """Return a counter as the scripts read it."""
        name = f"{counter.series}|{counter.subject}"
        shape = counter.shape
        if isinstance(shape, Sliding):
            return "sliding", name, shape.window_s * US
        if isinstance(shape, Period):
            return "period", name, "" if shape.ends_s is None else math.ceil((shape.ends_s - self._wall_s()) * US)
        return ("bucket", name, shape.window_s * US) if isinstance(shape, Bucket) else ("slots", name, "")

    def _all_words(self, counters: Iterable[Counter]) -> list[Word]:
        return [word for counter in counters for word in self._words(counter)]

    async def _run(self, name: str, *words: Word, patient: bool = False) -> Any:
        """Run a script; unless it is `patient`, in little time.  Raises StoreError."""
        if self._is_telling and not patient:
            raise StoreError(f"{self._where} is being told what was taken")
        code = script(name)
        now: Word = "" if self._steady_ns is None else self._steady_ns() // 1000
        arguments = ("1", self._prefix, now, self._member, *words)
        call = self._patiently if patient else self._connection.call
        try:
            try:
                return await call("EVALSHA", code.digest, *arguments)
            except RefusedError as error:
                if error.code != "NOSCRIPT":
                    raise
                return await call("EVAL", code.text, *arguments)
        except RefusedError as error:
            if error.code != "LOST":
                raise
            self.is_lost = True
            raise StoreError(
                f"{self._where} does not know what was taken: it is new, was emptied or replaced"
            ) from error

    async def _patiently(self, *words: Word) -> Any:
        await self._connection.connect()
        return await self._connection.ask(*words)

    def _wait_for_others(self) -> None:
        if time.monotonic() < self._awaited_until_s:
            raise StoreError(f"{self._where} is being told what was taken")
        logger.warning("%d processes have not told what they had taken, and are not waited for", len(self._awaited))
        self._awaited = set()

    async def _greet(self, connection: RedisConnection) -> None:
        """Look at a server before it is used.  Raises StoreError if it may not be."""
        facts = _facts(await connection.ask("INFO"))
        version = facts.get("redis_version", "0")
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            raise StoreError(f"{self._where} is Redis {version}; version {OLDEST[0]} or newer is needed")
        if (policy := facts.get("maxmemory_policy", "noeviction")) != "noeviction":
            message = f"{self._where} has `maxmemory-policy {policy}`, which forgets counters when memory is short"
            raise StoreError(f"{message}; hint: set it to noeviction")
        if facts.get("role") != "master":
            raise StoreError(f"{self._where} is a replica, to which nothing can be written")
        if facts.get("aof_enabled") != "1" and not self._has_warned:
            self._has_warned = True
            logger.warning("%s has `appendonly no`: what was taken last is lost when it ends", self._where)


def _facts(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _outcome(call_id: str, answer: Any) -> Held | Short:
    good, found = answer
    if good:
        return Held(call_id, tuple(int(left) for left in found))
    return Short({number: _shortage(*map(int, one)) for number, *one in found})


def _shortage(left: int, wait_us: int, settled: int) -> Shortage:
    return Shortage(left, math.inf if wait_us < 0 else wait_us / US, settled)


def _expired(call_id: bytes, told: bytes, amounts: Sequence[bytes]) -> Expired:
    counters = [counter_of(*row) for row in orjson.loads(told)]
    takes = tuple((counter, int(amount)) for counter, amount in zip(counters, amounts, strict=True))
    return Expired(call_id.decode(), takes)
