"""What every store of a log has in common: where the log ends, and how a batch of leaves gets its place behind that.

A store makes one batch after the other durable, whole or not at all, and signs a checkpoint over each once it has read it
back: a log in which one bit changed between hashing and storing is dead.  What it knows of the log moves on only when a
batch is durable, so that what is known is always something that is there.

Opened again after a failure, a log must still be the one that was being written, with every acknowledged leaf in it; leaves
that nobody was told about count as well.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.encoding import encode, pae
from jupiter_addons.evidence.manifest import Use
from jupiter_addons.evidence.merkle import hash_leaf
from jupiter_addons.evidence.note import parse
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.record import Fields
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.storage.evidence_tail import LeafRow, Sealer, Tail
from jupiter_addons.storage.signing_keys import Keys

logger = logging.getLogger(__name__)

ROW_BYTES = 256
"""What a row takes beside its leaf and signature, or its ciphertext."""
KEEP_EVERY_US = 1_000_000
"""How far apart the checkpoints are that are kept for good."""

type Anchored = Callable[[str], Checkpoint | None]
"""The origin of a log -> the newest checkpoint of it that is kept elsewhere."""
type PayloadRow = tuple[int, str, str, str, bytes]
"""The leaf that commits to it, call, role, key and ciphertext of what was said."""


class NotNowError(StoreError):
    """Something that no call waits for could not be done, and may be another time."""


@dataclass(slots=True)
class Item:
    """A leaf on its way, and what has become of it."""

    fields: Fields
    sealed: Sequence[Sealed] = ()
    error: StoreError | None = None
    idx: int = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """Leaves that become durable together, and what goes with them."""

    leaves: Sequence[LeafRow]
    payloads: Sequence[PayloadRow]
    tail: Tail
    """The end of the log with them; its `calls` and `tiles` are what they have changed."""
    head: Checkpoint

    @property
    def bytes(self) -> int:
        """About how much it is."""
        leaves = sum(ROW_BYTES + len(row[4]) + len(row[5]) for row in self.leaves)
        return leaves + sum(ROW_BYTES + len(row[4]) for row in self.payloads)

    @property
    def opened(self) -> list[str]:
        """The calls that are open since."""
        return [call for call, is_open in self.tail.calls.items() if is_open]

    @property
    def ended(self) -> list[str]:
        """The calls that have ended."""
        return [call for call, is_open in self.tail.calls.items() if not is_open]


@dataclass(slots=True)
class Kept:
    """Which checkpoints stay: the newest, and the first of each second; what lies between follows from them."""

    newest: tuple[int, int] | None = None
    """Size and time of the newest one."""
    _kept_us: int = 0

    def replaced(self) -> int | None:
        """Return the size of the checkpoint whose place the next one takes; None if it has one of its own."""
        before = self.newest
        return before[0] if before is not None and before[1] < self._kept_us + KEEP_EVERY_US else None

    def note(self, size: int, t_us: int) -> None:
        """Take in that the next one is durable."""
        if self.newest is not None and self.replaced() is None:
            self._kept_us = self.newest[1]
        self.newest = size, t_us


class LogStore(ABC):
    """One log.  Not for several threads at once."""

    def __init__(self, name: str, sealer: Sealer) -> None:
        """`name` is what people know the place by."""
        self.name = name
        self._sealer = sealer
        self.origin = ""
        self.tail = Tail()
        self.signed_by: str | None = None
        """The `kid` of the last leaf that was there when the log was opened."""
        self.note = ""
        """The newest checkpoint."""
        self.open_calls: set[str] = set()
        self.late: set[str] = set()
        """Calls whose decision is there although nobody was told so."""
        self.unsure: set[str] = set()
        """Calls of which nobody knows whether their last leaf is there."""

    def former_keys(self, keys: Keys) -> dict[Use, str]:
        """Return the kids of the keys that had signed last when the log was opened, where they sign no more."""
        found: dict[Use, str] = {}
        if self.signed_by not in (None, keys.record.public.kid):
            found["record"] = str(self.signed_by)
        if self.note:
            ids = {one.id for one in parse(self.note.encode()).signatures}
            if keys.log.named(self.origin).public.id not in ids:
                logs = keys.manifest.keys("log").items()
                found["log"] = next(kid for kid, key in logs if PublicKey(self.origin, key.raw).id in ids)
        return found

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether it can be written to."""

    @abstractmethod
    def open(self) -> None:
        """Open the log and find its end.  Nothing of ours changes unless all of it succeeds.  Raises StoreError.

        Opened again, it must be the log that was being written, with every acknowledged leaf in it.
        """

    @abstractmethod
    def begin_at_once(self) -> bool:
        """Begin the next `write` if it need not wait for anybody: only then may the event loop make it.  Raises StoreError."""

    def _forgo(self) -> None:  # noqa: B027 - a store that begins nothing has nothing to end
        """End what `begin_at_once` began, because there is nothing to write after all."""

    @abstractmethod
    def settle(self, *, idle: bool) -> None:
        """Do what keeps commits fast, if there is much of that; `idle` says that there is time.  Raises StoreError."""

    @abstractmethod
    def derive(self, most: int) -> int:
        """Bring the index of calls on by at most so many leaves; return how many.

        Raises NotNowError, or StoreError if a leaf cannot be read.
        """

    @abstractmethod
    def derived(self) -> int:
        """Return how many leaves the index of calls knows.  Raises StoreError."""

    @abstractmethod
    def shrink(self) -> None:
        """Tidy up before it is closed, if that can be had at once."""

    @abstractmethod
    def let_go(self) -> None:
        """Let go of it after a failure: what it knows may not be what is durable.  It can be opened again."""

    def close(self) -> None:
        """Let go of it for good."""
        self.let_go()

    @abstractmethod
    def _commit(self, batch: Batch) -> str:
        """Make a batch durable; return its checkpoint, signed.  Raises StoreError, and it may be durable all the same."""

    def write(self, items: Sequence[Item]) -> None:
        """Make leaves durable.  Raises StoreError for all of them; one that cannot be sealed is given its error alone."""
        tail = self.tail.copy()
        leaves = [row for item in items if (row := self._seal(item, tail)) is not None]
        if not leaves:
            self._forgo()
            return
        batch = Batch(leaves, _payloads(items), tail, Checkpoint(self.origin, tail.edge.size, tail.edge.root()))
        try:
            note = self._commit(batch)
        except StoreError as error:
            self.unsure.update(tail.calls)
            raise StoreError(f"cannot write `{self.name}`: {error}") from error
        self.open_calls.update(batch.opened)
        self.open_calls.difference_update(batch.ended)
        tail.calls.clear()
        tail.tiles.clear()
        self.tail, self.note = tail, note

    def _seal(self, item: Item, tail: Tail) -> LeafRow | None:
        try:
            row = self._sealer.seal(item.fields, tail, self.origin, self.open_calls, self.late)
        except ValueError as error:
            item.error = StoreError(f"a leaf could not be written: {error}")
            logger.error("a leaf of kind `%s` could not be written: %s", item.fields.get("kind"), error)
            return None
        item.idx = row[0]
        return row


def check_last(row: LeafRow, origin: str, keys: Mapping[str, PublicKey], name: str) -> str:
    """Return the `kid` that signed the last leaf of a log.  Raises StoreError unless it is what was written."""
    idx, _, _, t_us, leaf, signature, stored = row
    try:
        fields = orjson.loads(leaf)
        placed = (fields["log"], fields["idx"], fields["t_us"]) == (origin, idx, t_us)
        good = placed and hash_leaf(leaf).hex() == stored and encode(fields) == leaf
        keys[fields["kid"]].verify(pae(leaf), signature)
    except (ValueError, LookupError, TypeError, VerificationError):
        good = False
    if not good:
        raise StoreError(f"the last leaf of `{name}` is not what was written; run `jupiter evidence verify`")
    return str(fields["kid"])


def _payloads(items: Sequence[Item]) -> list[PayloadRow]:
    return [
        (item.idx, item.fields["id"], one.role, one.key_id, one.ciphertext)
        for item in items
        if item.error is None
        for one in item.sealed
    ]
