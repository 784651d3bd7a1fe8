"""The Merkle tree of RFC 6962, section 2.1: hashes, the right edge of a growing log, and its two kinds of proof.

A tree is kept as tiles (C2SP tlog-tiles): tile `n` of level `l` holds the hashes of up to 256 neighbouring nodes at height
`8 * l`.  A full tile never changes again, and together they give every node back that a proof names.

Nothing is invented here: immudb's own proof was forgeable for years, every log on the plain tree has held.  Verifying raises
VerificationError; making a proof of what is not there raises ValueError.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from jupiter_addons.errors import VerificationError

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
EMPTY_ROOT = hashlib.sha256().digest()

type Nodes = Callable[[int, int], bytes]
"""(height, number) -> the hash of that complete subtree."""
type Tiles = Callable[[int, int], Sequence[bytes]]
"""(level, n) -> the hashes of that tile, as many as there are."""


def hash_leaf(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile as it is to be kept; it replaces what was kept of it before."""

    level: int
    n: int
    hashes: bytes


@dataclass(slots=True)
class Edge:
    """The right edge of a tree: all that is needed to append to it and to know its root."""

    size: int = 0
    _peaks: list[bytes] = field(default_factory=list)
    """Roots of the complete subtrees that the tree is made of, largest first."""
    _partial: list[list[bytes]] = field(default_factory=lambda: [[]])
    """Level -> the hashes of its last tile, while that is not full."""

    def copy(self) -> "Edge":
        """Return an edge that can grow without this one."""
        return Edge(self.size, self._peaks.copy(), [hashes.copy() for hashes in self._partial])

    def append(self, leaf_hash: bytes) -> list[Tile]:
        """Take in the next leaf; return the tiles to be kept.

        Those of level 0 are returned when they are full, because a leaf has its hash beside it; those above with every
        hash they get.
        """
        node, number = leaf_hash, self.size
        while number & 1:
            node, number = hash_node(self._peaks.pop(), node), number >> 1
        self._peaks.append(node)
        self.size += 1
        self._partial[0].append(leaf_hash)
        return list(self._tiles()) if len(self._partial[0]) == TILE_WIDTH else []

    def _tiles(self) -> Iterator[Tile]:
        level = 0
        while True:
            hashes = self._partial[level]
            full = len(hashes) == TILE_WIDTH
            yield Tile(level, (self.size - 1) >> TILE_HEIGHT * (level + 1), b"".join(hashes))
            if not full:
                return
            self._partial[level] = []
            level += 1
            if level == len(self._partial):
                self._partial.append([])
            self._partial[level].append(_complete(hashes))

    def partial(self) -> list[Tile]:
        """Return the last tile of each level, where that is not full and not empty."""
        return [
            Tile(level, self.size >> TILE_HEIGHT * (level + 1), b"".join(hashes))
            for level, hashes in enumerate(self._partial)
            if hashes
        ]

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = hash_node(peak, root)
        return root


def edge_of(size: int, tiles: Tiles) -> Edge:
    """Return the right edge of the tree of `size` leaves that `tiles` are of.  Raises VerificationError if some lack."""
    partial: list[list[bytes]] = []
    width = size
    while True:
        number, count = divmod(width, TILE_WIDTH)
        hashes = list(tiles(len(partial), number)) if count else []
        if len(hashes) < count:
            raise VerificationError(f"tile {number} of level {len(partial)} has {len(hashes)} hashes of {count}")
        partial.append(hashes[:count])
        width = number
        if not width:
            break
    peaks = []
    for level in reversed(range(len(partial))):
        hashes = partial[level]
        while hashes:
            wide = 1 << (len(hashes).bit_length() - 1)
            peaks.append(_complete(hashes[:wide]))
            hashes = hashes[wide:]
    return Edge(size, peaks, partial)


def nodes(tiles: Tiles) -> Nodes:
    """Return the nodes of a tree by its tiles."""

    def node(height: int, number: int) -> bytes:
        level, within = divmod(height, TILE_HEIGHT)
        n, first = divmod(number << within, TILE_WIDTH)
        hashes = tiles(level, n)[first : first + (1 << within)]
        if len(hashes) != 1 << within:
            raise ValueError(f"the tree has no node {number} at height {height}")
        return _complete(hashes)

    return node


def root_of(size: int, node: Nodes) -> bytes:
    """Return the root that the tree had when it had `size` leaves."""
    return _range(0, size, node) if size else EMPTY_ROOT


def prove_inclusion(index: int, size: int, node: Nodes) -> list[bytes]:
    """Return the audit path (section 2.1.1) of leaf `index` in the tree of the first `size` leaves."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range(middle, end, node))
            end = middle
        else:
            path.append(_range(start, middle, node))
            start = middle
    return path[::-1]


def prove_consistency(old: int, new: int, node: Nodes) -> list[bytes]:
    """Return the proof (section 2.1.2) that the tree of `new` leaves begins with that of `old`."""
    if not 0 < old <= new:
        raise ValueError(f"a tree of {new} leaves cannot be shown to begin with {old}")
    path: list[bytes] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range(middle, end, node))
            end = middle
        else:
            path.append(_range(start, middle, node))
            start = middle
    if start:
        path.append(_range(start, end, node))
    return path[::-1]


def verify_inclusion(leaf_hash: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check an audit path, by the algorithm of RFC 9162, section 2.1.3.2."""
    _check_hashes(leaf_hash, root, *path)
    if not 0 <= index < size:
        raise VerificationError(f"leaf {index} is not in a tree of {size}")
    node, number, last = leaf_hash, index, size - 1
    for other in path:
        if not last:
            raise VerificationError("the inclusion proof is too long")
        if number & 1 or number == last:
            node = hash_node(other, node)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            node = hash_node(node, other)
        number, last = number >> 1, last >> 1
    if last:
        raise VerificationError("the inclusion proof is too short")
    if node != root:
        raise VerificationError("the inclusion proof does not lead to the root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check a consistency proof, by the algorithm of RFC 9162, section 2.1.4.2.  Nothing is consistent with size 0."""
    if not 0 < old <= new:
        raise VerificationError(f"a tree of {new} leaves cannot begin with {old}")
    if old == new:
        if path or old_root != new_root:
            raise VerificationError("two trees of one size are not the same tree")
        return
    _check_hashes(old_root, new_root, *path)
    if not path:
        raise VerificationError("the consistency proof is empty")
    rest = list(path)
    if old & (old - 1) == 0:
        rest.insert(0, old_root)
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old_node = new_node = rest[0]
    for other in rest[1:]:
        if not last:
            raise VerificationError("the consistency proof is too long")
        if number & 1 or number == last:
            old_node, new_node = hash_node(other, old_node), hash_node(other, new_node)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new_node = hash_node(new_node, other)
        number, last = number >> 1, last >> 1
    if last:
        raise VerificationError("the consistency proof is too short")
    if old_node != old_root or new_node != new_root:
        raise VerificationError("the consistency proof does not lead to both roots")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(one) != HASH_BYTES for one in hashes):
        raise VerificationError(f"a hash has {HASH_BYTES} bytes")


def _split(count: int) -> int:
    """Return the largest power of two that is less than `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _complete(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = [hash_node(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def _range(start: int, end: int, node: Nodes) -> bytes:
    """Return the root over leaves `start` to `end`; they begin where a complete subtree of that many could."""
    count = end - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return node(height, start >> height)
    middle = start + _split(count)
    return hash_node(_range(start, middle, node), _range(middle, end, node))
