"""A growing log as a witness sees it: checkpoints of any size, and the proofs between them."""

from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.merkle import EMPTY_ROOT, Edge, hash_leaf, nodes, prove_consistency
from jupiter_addons.evidence.signing import SigningKey


class GrowingLog:
    """A log of numbered leaves; `flavour` makes another log of the same name."""

    def __init__(self, origin: str, key: SigningKey, flavour: str = "", most: int = 300) -> None:
        self.origin, self.key = origin, key
        self._hashes = [hash_leaf(f"{flavour}{number}".encode()) for number in range(most)]
        self._roots, edge, self._tiles = [EMPTY_ROOT], Edge(), {}
        for one in self._hashes:
            for tile in edge.append(one):
                self._tiles[tile.level, tile.n] = [tile.hashes[at : at + 32] for at in range(0, len(tile.hashes), 32)]
            self._roots.append(edge.root())

    def tiles(self, level: int, n: int) -> list[bytes]:
        return self._tiles.get((level, n), [] if level else self._hashes[n * 256 : (n + 1) * 256])

    def head(self, size: int) -> Checkpoint:
        return Checkpoint(self.origin, size, self._roots[size])

    def signed(self, size: int) -> str:
        return checkpoint.sign(self.head(size), self.key)

    def proof(self, old: int, new: int) -> list[bytes]:
        return prove_consistency(old, new, nodes(self.tiles)) if 0 < old <= new else []
