"""Where a log ends, and how the next leaf gets its place there: number, link, time, signature, and its node in the tree.

Nothing here touches a file.  A tail is copied before it grows and thrown away if the transaction that would have made it
true fails, so that what is known of the log is always something that is durable.
"""

import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.encoding import ZERO_HASH, encode, pae
from jupiter_addons.evidence.merkle import Edge, Tile, hash_leaf
from jupiter_addons.evidence.record import VERSION, Fields
from jupiter_addons.storage.signing_keys import Keys

type Durability = Literal["strict", "async"]
type LeafRow = tuple[int, str, str | None, int, bytes, bytes, str]
"""A row of the table `leaf`."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What the log writes into each leaf about itself."""

    keys: Keys
    instance: str
    build: str
    boot: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(slots=True)
class Tail:
    """The end of a log."""

    edge: Edge = field(default_factory=Edge)
    hash: str = ZERO_HASH
    """Of the last leaf."""
    t_us: int = 0
    calls: dict[str, bool] = field(default_factory=dict)
    """Calls that the leaves sealed since have opened (True) or ended (False)."""
    tiles: list[Tile] = field(default_factory=list)
    """Tiles that the leaves sealed since have filled."""

    @property
    def idx(self) -> int:
        """The number of the last leaf; -1 if there is none."""
        return self.edge.size - 1

    def copy(self) -> "Tail":
        """Return a tail that can grow without this one."""
        return Tail(self.edge.copy(), self.hash, self.t_us)


class Sealer:
    """Puts leaves at the end of one log."""

    def __init__(self, identity: Identity, clock: Callable[[], int], loss_bound: int | None = None) -> None:
        """`loss_bound` is written into every leaf of a log that acknowledges leaves before they are durable."""
        self._sign = identity.keys.record.sign
        self._clock = clock
        self._common: dict[str, Any] = {
            "v": VERSION,
            "boot": identity.boot,
            "inst": identity.instance,
            "build": identity.build,
            "kid": identity.keys.record.public.kid,
        }
        if loss_bound is not None:
            self._common["loss_bound"] = loss_bound

    def seal(
        self, given: Fields, tail: Tail, origin: str, open_calls: Collection[str], late: Collection[str]
    ) -> LeafRow:
        """Return the row of a leaf, and move the tail on.  Raises ValueError, and changes nothing, if it cannot stand there.

        `open_calls` are those open before the tail grew; `late` were decided without anybody having been told.
        """
        _check_place(given, tail.calls, open_calls, late)
        clock_us = self._clock() // 1000
        now_us = max(clock_us, tail.t_us)
        idx = tail.edge.size
        fields = {
            **given,
            **self._common,
            "log": origin,
            "idx": idx,
            "prev": tail.hash,
            "salt": os.urandom(16).hex(),
            "t_us": now_us,
            "mono_ns": time.monotonic_ns(),
        }
        if clock_us < now_us:
            fields["clock_back_us"] = now_us - clock_us
        leaf = encode(fields)
        digest = hash_leaf(leaf)
        tail.tiles += tail.edge.append(digest)
        tail.hash, tail.t_us = digest.hex(), now_us
        kind: str = given["kind"]
        call: str | None = given.get("id")
        _note_call(tail, kind, call, given)
        return idx, kind, call, now_us, leaf, self._sign(pae(leaf)), tail.hash


def extend(tail: Tail, rows: Iterable[LeafRow]) -> None:
    """Move a tail on by leaves that have been sealed before.  Raises VerificationError at one that does not follow."""
    for idx, kind, call, t_us, leaf, _, stored in rows:
        digest = hash_leaf(leaf)
        try:
            fields = orjson.loads(leaf)
            follows = (fields["idx"], fields["prev"], fields["t_us"]) == (tail.edge.size, tail.hash, t_us)
        except (ValueError, LookupError, TypeError):
            follows = False
        if not follows or idx != tail.edge.size or digest.hex() != stored:
            raise VerificationError(f"leaf {tail.edge.size} is not what was written there")
        tail.tiles += tail.edge.append(digest)
        tail.hash, tail.t_us = stored, t_us
        _note_call(tail, kind, call, fields)


def _note_call(tail: Tail, kind: str, call: str | None, fields: Fields) -> None:
    """Note whether a leaf opens or ends a call."""
    if call is not None and (kind == "outcome" or (kind == "decision" and "outcome" not in fields)):
        tail.calls[call] = kind == "decision"


def _check_place(
    fields: Fields, sealed: Mapping[str, bool], open_calls: Collection[str], late: Collection[str]
) -> None:
    """Raise ValueError if a leaf cannot stand after those that are there."""
    kind, call = fields.get("kind"), fields.get("id")
    if not isinstance(kind, str) or not (call is None or isinstance(call, str)):
        raise ValueError("it has no kind, or an id that is no text")
    is_open = call is not None and sealed.get(call, call in open_calls)
    if kind == "outcome" and not is_open:
        raise ValueError(f"call {call} has no decision that is still open")
    if kind == "decision" and (call is None or is_open or call in late):
        raise ValueError(f"call {call} has been decided already")
