"""Where a log ends that is partly in PostgreSQL and partly spooled: found when it is opened, and nothing believed of either.

What the server has is held to its newest checkpoint, what is spooled to the leaf before it, to its signature and to the
checkpoint that was spooled with it, and both to what this process knows already and to what is anchored elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.manifest import Manifest
from jupiter_addons.evidence.merkle import hash_leaf
from jupiter_addons.storage import evidence_tree
from jupiter_addons.storage.evidence_postgres_tables import LogTables, TakenOverError
from jupiter_addons.storage.evidence_spool import Spool
from jupiter_addons.storage.evidence_store import check_last
from jupiter_addons.storage.evidence_tail import LeafRow, Tail, extend

CHUNK = 256


@dataclass(frozen=True, slots=True)
class Known:
    """What this process knows of the log already."""

    tail: Tail
    open_calls: frozenset[str]
    sent: Tail
    """How far the server had it."""


@dataclass(slots=True)
class End:
    """What was found."""

    sent: Tail
    """How far the server has it."""
    tail: Tail
    open_calls: set[str]
    signed_by: str | None
    late: set[str]
    """Calls whose decision is there and was not known."""


def find(
    tables: LogTables | None,
    spool: Spool,
    keys: Manifest,
    origin: str,
    known: Known | None,
    anchored: Checkpoint | None,
) -> End:
    """Find the end of a log.  Without the server, it must be known, or never have been there.

    Raises StoreError, VerificationError and what the driver raises.
    """
    end = _in_server(tables, spool, keys, known)
    if known is not None and known.tail.idx >= 0:
        _check_continues(tables, spool, end, known)
    while rows := spool.read(end.tail.edge.size, CHUNK):
        if anchored is not None and rows[0][0] < anchored.size <= rows[-1][0] + 1:
            _check_anchor_among(rows, end.tail, anchored)
        extend(end.tail, rows)
        end.signed_by = check_last(rows[-1], origin, keys.keys("record"), str(spool.path))
        if known is not None:
            end.late |= {row[2] for row in rows if row[0] > known.tail.idx and row[1] == "decision" and row[2]}
    size = end.tail.edge.size
    if anchored is not None and (anchored.size > size or (tables is not None and anchored.size <= end.sent.edge.size)):
        evidence_tree.check_anchor(tables.tiles if tables is not None else _no_tiles, size, anchored)
    note, head = spool.note(), Checkpoint(origin, size, end.tail.edge.root())
    if note is not None and checkpoint.opened(note.encode(), keys.keys("log").values(), strangers=True) != head:
        raise VerificationError("what is spooled is not what its checkpoint was made over")
    for call, is_open in end.tail.calls.items():
        (end.open_calls.add if is_open else end.open_calls.discard)(call)
    end.tail = end.tail.copy()
    return end


def _in_server(tables: LogTables | None, spool: Spool, keys: Manifest, known: Known | None) -> End:
    if tables is None:
        if known is None:
            return End(Tail(), Tail(), set(), None, set())
        return End(known.sent, known.tail.copy(), set(known.open_calls), None, set())
    found = tables.read(keys.keys("record"), tuple(keys.keys("log").values()))
    compare(tables, spool, 0 if known is None else known.sent.edge.size)
    late = set() if known is None else tables.decided_after(known.tail.idx)
    return End(found.tail, found.tail.copy(), found.open_calls, found.signed_by, late)


def compare(tables: LogTables, spool: Spool, sent: int) -> None:
    """Raise TakenOverError unless the server has what it acknowledged, and of what is spooled nothing else than that.

    `sent` is how many leaves it is known to have had.  Raises StoreError and what the driver raises.
    """
    if tables.size < sent:
        raise TakenOverError(f"PostgreSQL has {tables.size} leaves of `{tables.origin}`, and had {sent}")
    at = spool.first()
    while at is not None and at < tables.size:
        rows = [row for row in spool.read(at, CHUNK) if row[0] < tables.size]
        if not rows:
            return
        there = tables.leaves(at, len(rows))
        if [hash_leaf(row[4]) for row in there] != [hash_leaf(row[4]) for row in rows]:
            raise TakenOverError(f"PostgreSQL has other leaves of `{tables.origin}` from {at} on than are spooled here")
        at = rows[-1][0] + 1


def _check_continues(tables: LogTables | None, spool: Spool, end: End, known: Known) -> None:
    """Raise StoreError unless the last acknowledged leaf is where it was."""
    idx = known.tail.idx
    if tables is not None and idx < end.sent.edge.size:
        there = tables.hash_of(idx)
    elif idx >= end.sent.edge.size:
        rows = spool.read(idx, 1)
        there = rows[0][6] if rows and rows[0][0] == idx else None
    else:
        return  # the server has it, and cannot be asked now
    if there != known.tail.hash:
        raise StoreError("it is not the log that was being written; hint: restart on the right one")


def _check_anchor_among(rows: Sequence[LeafRow], tail: Tail, anchored: Checkpoint) -> None:
    there = tail.copy()
    extend(there, [row for row in rows if row[0] < anchored.size])
    if there.edge.root() != anchored.root:
        raise StoreError(f"the first {anchored.size} leaves of the log are not those that the anchor elsewhere knows")


def _no_tiles(_level: int, _n: int) -> Sequence[bytes]:
    return ()
