"""The tree of a log as its tables have it, and what a start makes of them.

A leaf's bytes are hashed again before anything is believed of them: a hash that was stored beside them proves nothing.  A
log whose newest checkpoint, tiles and last leaves do not agree is refused; only what agrees is gone on with.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import (
    HASH_BYTES,
    TILE_WIDTH,
    Edge,
    Tile,
    Tiles,
    edge_of,
    hash_leaf,
    nodes,
    root_of,
)
from jupiter_addons.evidence.signing import PublicKey


def tiles(db: sqlite3.Connection) -> Tiles:
    """Return the tiles of a log; the last hashes of level 0 are taken from the leaves themselves."""

    def tile(level: int, n: int) -> Sequence[bytes]:
        found = db.execute("SELECT hashes FROM tile WHERE level = ? AND n = ?", (level, n)).fetchone()
        if found is not None:
            return [found[0][at : at + HASH_BYTES] for at in range(0, len(found[0]), HASH_BYTES)]
        if level:
            return []
        first = n * TILE_WIDTH
        leaves = db.execute(
            "SELECT leaf FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx", (first, first + TILE_WIDTH)
        )
        return [hash_leaf(leaf) for (leaf,) in leaves]

    return tile


def keep_tiles(db: sqlite3.Connection, filled: Iterable[Tile]) -> None:
    """Write tiles, within a transaction of the caller's."""
    rows = [(tile.level, tile.n, tile.hashes) for tile in filled]
    db.executemany("INSERT OR REPLACE INTO tile VALUES (?, ?, ?)", rows)


def newest(db: sqlite3.Connection) -> tuple[int, int, str] | None:
    """Return size, time and note of the newest checkpoint."""
    found: tuple[int, int, str] | None = db.execute(
        "SELECT size, t_us, note FROM checkpoint ORDER BY size DESC LIMIT 1"
    ).fetchone()
    return found


def restored(db: sqlite3.Connection, origin: str, size: int, log_keys: Iterable[PublicKey]) -> Edge:
    """Return the right edge of a log of `size` leaves, if it is what the newest checkpoint says.

    Raises VerificationError.
    """
    found = newest(db)
    return agreed(tiles(db), None if found is None else found[2], origin, size, log_keys)


def agreed(stored: Tiles, note: str | None, origin: str, size: int, log_keys: Iterable[PublicKey]) -> Edge:
    """Return the right edge of a log of `size` leaves, if its tiles are what its newest checkpoint says.

    Raises VerificationError.
    """
    if note is None:
        raise VerificationError("it has leaves and no checkpoint")
    signed = checkpoint.opened(note.encode(), log_keys, strangers=True)
    if (signed.origin, signed.size) != (origin, size):
        raise VerificationError(
            f"it has {size} leaves, and its newest checkpoint is of {signed.size} of `{signed.origin}`"
        )
    edge = edge_of(size, stored)
    if edge.root() != signed.root:
        raise VerificationError("its newest leaves and tiles are not those that its newest checkpoint was made over")
    return edge


def grown(db: sqlite3.Connection) -> Edge:
    """Grow the tree over a log that was written without one, in one transaction; return its right edge."""
    edge = Edge()
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM tile")
    for (leaf,) in db.execute("SELECT leaf FROM leaf ORDER BY idx"):
        keep_tiles(db, edge.append(hash_leaf(leaf)))
    db.execute("COMMIT")
    return edge


def check_anchor(stored: Tiles, size: int, anchored: Checkpoint) -> None:
    """Raise StoreError unless a log of `size` leaves continues what was anchored elsewhere."""
    if anchored.size > size:
        raise StoreError(
            f"the log has {size} leaves and the anchor elsewhere knows {anchored.size}: "
            "it has been cut, or an old copy of it brought back"
        )
    if anchored.size and root_of(anchored.size, nodes(stored)) != anchored.root:
        raise StoreError(f"the first {anchored.size} leaves of the log are not those that the anchor elsewhere knows")
