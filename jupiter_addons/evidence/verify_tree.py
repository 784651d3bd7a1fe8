"""The tree of a log, held against the leaves: tiles, checkpoints, and what others remember of it.

Tiles and checkpoints are the store's and prove nothing by themselves; the tree that `verify` grows over the leaves does,
and they have to be parts of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import TILE_WIDTH, Edge, Tile, Tiles, nodes, root_of
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.evidence.verify import Finding, Report


@dataclass(frozen=True, slots=True)
class Expected:
    """What somebody remembers of a log: that it was so large, and what its root was."""

    size: int
    root: bytes
    source: str
    """Who remembers it, in words: “the anchor”."""
    witnessed: bool = False
    """Whether that is a witness: what it has signed cannot be explained away by somebody who writes here."""


class StoredTree:
    """What a store has beside the leaves, checked while the tree over them grows.

    Of each kind of thing that is wrong the first is a finding: whatever comes after it in the tree is wrong as well.
    """

    def __init__(
        self, tiles: Tiles, checkpoints: Iterator[tuple[int, bytes]], log_keys: Sequence[PublicKey], origin: str
    ) -> None:
        """`checkpoints` are size and note, by size."""
        self.tiles = tiles
        self._checkpoints = checkpoints
        self._log_keys = log_keys
        self._origin = origin
        self._newest = 0
        self._due = next(checkpoints, None)
        self._found: set[str] = set()
        self.seen = 0
        """How many checkpoints were checked."""

    def begin(self, first: int) -> tuple[Edge, str]:
        """Return where a log goes on whose first leaves are gone, from the tiles that are kept."""
        if first % TILE_WIDTH:
            raise VerificationError(f"leaves are gone up to {first}, in the middle of a tile")
        edge = Edge()
        hashes: Sequence[bytes] = ()
        for n in range(first // TILE_WIDTH):
            hashes = self.tiles(0, n)
            for tile in [filled for one in hashes for filled in edge.append(one)]:
                if b"".join(self.tiles(tile.level, tile.n))[: len(tile.hashes)] != tile.hashes:
                    raise VerificationError(f"tile {tile.n} of level {tile.level} is not that of the tiles below it")
            if edge.size != (n + 1) * TILE_WIDTH:
                raise VerificationError(f"tile {n} of level 0 has {len(hashes)} hashes of {TILE_WIDTH}")
        return edge, hashes[-1].hex()

    def grown(self, edge: Edge, filled: Sequence[Tile]) -> Iterator[Finding]:
        """Yield what is wrong with the tree at this size."""
        for tile in filled:
            kept = b"".join(self.tiles(tile.level, tile.n))
            if kept[: len(tile.hashes)] != tile.hashes:
                yield from self._first(
                    edge.size - 1, "tile", f"tile {tile.n} of level {tile.level} is not that of the leaves"
                )
        while self._due is not None and self._due[0] <= edge.size:
            size, note = self._due
            root = edge.root() if size == edge.size else self._root_at(size)
            if (wrong := self._wrong(size, note, root)) is not None:
                yield from self._first(size - 1, "checkpoint", wrong)
            self._newest, self._due = size, next(self._checkpoints, None)

    def end(self, edge: Edge) -> Iterator[Finding]:
        """Yield what is wrong when all leaves have been read."""
        if self._due is not None:
            size = max(self._due[0], *(size for size, _ in self._checkpoints), 0)
            yield Finding(-1, "truncated", f"there is a checkpoint of {size} leaves, and {edge.size} are there")
        elif self._newest != edge.size:
            yield Finding(
                -1, "checkpoint", f"the newest checkpoint is of {self._newest} leaves, and {edge.size} are there"
            )

    def _first(self, idx: int, check: str, message: str) -> Iterator[Finding]:
        if check not in self._found:
            self._found.add(check)
            yield Finding(idx, check, message)

    def _wrong(self, size: int, note: bytes, root: bytes | None) -> str | None:
        self.seen += 1
        try:
            head = checkpoint.opened(note, self._log_keys, strangers=True)
        except VerificationError as error:
            return str(error)
        if (head.origin, head.size) != (self._origin, size):
            return f"it is of {head.size} leaves of `{head.origin}`"
        return None if head.root == root else "the leaves are not those it was signed over"

    def _root_at(self, size: int) -> bytes | None:
        """Return the root at a size of which no leaf is left."""
        try:
            return root_of(size, nodes(self.tiles))
        except ValueError:
            return None


def compare(report: Report, tiles: Tiles, expected: Iterable[Expected]) -> Iterator[Finding]:
    """Hold a log that has been read to what others remember of it."""
    size = report.edge.size
    for one in expected:
        cut, forked = ("rollback", "split-view") if one.witnessed else ("truncated", "fork")
        if one.size > size:
            yield Finding(
                -1,
                cut,
                f"{one.source} knows {one.size} leaves, and {size} are there: it was cut, or an old copy brought back",
            )
            continue
        try:
            root = report.edge.root() if one.size == size else root_of(one.size, nodes(tiles))
        except ValueError:
            root = None  # a tile is missing, which is a finding already
        if root != one.root:
            yield Finding(-1, forked, f"the first {one.size} leaves are not those that {one.source} knows")


def missing(named: Iterable[tuple[Checkpoint, str]], there: Iterable[str]) -> Iterator[Finding]:
    """Yield the logs that somebody remembers and that are not there; `named` is what, and who."""
    known = set(there)
    for head, source in named:
        if head.origin not in known:
            known.add(head.origin)
            yield Finding(-1, "missing", f"log `{head.origin}` of {head.size} leaves is gone; {source} knows it")
