"""Verifying an archive with nothing but the archive and the root key.

Every object is fetched in the version that a signed manifest names, and has to be what that says; the leaves have to verify as
those of any log do, and the tree over them has to have the root that was signed.  What was written over or hidden later is
still there, and is said.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import archive, checkpoint
from jupiter_addons.evidence import manifest as key_manifests
from jupiter_addons.evidence.archive import Manifest
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.manifest import Manifest as KeyManifest
from jupiter_addons.evidence.merkle import TILE_WIDTH, Edge, Tile
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.evidence.verify import Finding, Report, Row, verify
from jupiter_addons.storage.evidence_archive import Objects, Version


@dataclass(slots=True)
class ArchivedLog:
    """What came of one log."""

    name: str
    origin: str = ""
    segments: int = 0
    objects: int = 0
    report: Report = field(default_factory=Report)


def audit(objects: Objects, root: PublicKey) -> list[ArchivedLog]:
    """Verify all logs of an archive.  Raises StoreError if it cannot be read, VerificationError if its keys are not there."""
    versions: defaultdict[str, list[Version]] = defaultdict(list)
    for one in objects.versions(""):
        versions[one.key].append(one)
    keys = _keys(objects, versions, root)
    manifests: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for key in versions:
        log, _, rest = key.partition("/manifest/")
        if rest.isdecimal():
            manifests[log][int(rest)] = key
    return [_Audit(objects, keys, versions, name).run(found) for name, found in sorted(manifests.items())]


def _keys(objects: Objects, versions: Mapping[str, Sequence[Version]], root: PublicKey) -> KeyManifest:
    """Return the newest manifest of keys that the root has signed."""
    found = list[KeyManifest]()
    for key, those in versions.items():
        for one in those if key.startswith("keys/") else ():
            if not one.is_deletion:
                try:
                    found.append(key_manifests.opened(objects.get(key, one.id), root))
                except VerificationError:
                    continue  # another version, or another serial, may be the root's
    if not found:
        raise VerificationError(f"the archive has no manifest of keys that `{root.kid}` has signed")
    return max(found, key=lambda one: one.serial)


class _Audit:
    def __init__(
        self, objects: Objects, keys: KeyManifest, versions: Mapping[str, Sequence[Version]], name: str
    ) -> None:
        self._objects = objects
        self._keys = keys
        self._versions = versions
        self._log = ArchivedLog(name)
        self._previous = "-"
        self._tiles: dict[tuple[int, int], bytes] = {}

    def run(self, manifests: Mapping[int, str]) -> ArchivedLog:
        """Verify segment after segment; what comes behind one that is missing is not believed."""
        for segment in range(max(manifests) + 1):
            found = self._manifest(segment, manifests.get(segment))
            if found is None:
                break
            self._log.origin = found.origin
            if not self._segment(found):
                break
            self._log.segments += 1
        return self._log

    def _find(self, segment: int, check: str, message: str) -> None:
        self._log.report.findings.append(Finding(segment * TILE_WIDTH, check, message))

    def _manifest(self, segment: int, key: str | None) -> Manifest | None:
        """Return the manifest of a segment: of its versions, the one that goes on from the segment before."""
        good = dict[bytes, Manifest]()
        for one in self._versions[key] if key is not None else ():
            if one.is_deletion:
                self._find(
                    segment, "hidden", f"somebody has deleted the manifest of segment {segment}; it is still there"
                )
                continue
            data = self._objects.get(one.key, one.id)
            try:
                found = archive.opened(data, self._keys.keys("log").values())
            except VerificationError as error:
                self._find(segment, "manifest", f"a version of the manifest of segment {segment}: {error}")
                continue
            origin = self._log.origin or found.origin
            if (found.segment, found.previous, found.origin) == (segment, self._previous, origin):
                good[data] = found
            else:
                self._find(
                    segment, "manifest", f"a manifest of segment {segment} does not go on from the one before it"
                )
        if not good:
            self._find(segment, "missing", f"segment {segment} has no manifest that can be believed")
            return None
        if len({found.root for found in good.values()}) > 1:
            self._find(segment, "fork", f"the key of the log has signed two different segments {segment}")
        data, found = next(reversed(good.items()))  # the first that was written
        self._previous = hashlib.sha256(data).hexdigest()
        return found

    def _segment(self, found: Manifest) -> bool:
        data = dict[str, bytes]()
        for one in found.objects:
            key = f"{self._log.name}/{one.name}"
            try:
                got = self._objects.get(key, one.version)
            except StoreError as error:
                self._find(found.segment, "object", str(error))
                return False
            if (hashlib.sha256(got).hexdigest(), len(got)) != (one.sha256, one.length):
                self._find(found.segment, "object", f"`{key}` is not what its manifest says")
                return False
            if any(other.is_deletion for other in self._versions.get(key, ())):
                self._find(found.segment, "hidden", f"somebody has deleted `{key}`; it is still there")
            data[one.name] = got
            self._log.objects += 1
        try:
            rows = list(_rows(found, data))
            head = checkpoint.opened(data[f"checkpoints/{found.size}"], self._keys.keys("log").values())
        except (VerificationError, LookupError) as error:
            self._find(found.segment, "object", f"segment {found.segment} is not complete: {error}")
            return False
        report = self._log.report
        verify(
            rows,
            self._keys.keys("record"),
            revoked=self._keys.revoked(),
            tree=_Grown(data),
            so_far=report,
            partial=True,
        )
        if report.edge.root() != found.root or head != Checkpoint(found.origin, found.size, found.root):
            self._find(found.segment, "tree", f"segment {found.segment} does not come to the root that was signed")
        return True


def _rows(found: Manifest, data: Mapping[str, bytes]) -> Iterator[Row]:
    leaves = archive.unpack_leaves(data[archive.tile_name("tile/entries", found.segment)])
    signatures = archive.split_signatures(data[archive.tile_name("signatures", found.segment)])
    if len(leaves) != TILE_WIDTH or len(signatures) != TILE_WIDTH:
        raise VerificationError(f"{len(leaves)} leaves and {len(signatures)} signatures of {TILE_WIDTH}")
    first = found.segment * TILE_WIDTH
    for number, (leaf, signature) in enumerate(zip(leaves, signatures, strict=True)):
        yield Row(first + number, leaf, signature)


@dataclass(frozen=True, slots=True)
class _Grown:
    """The tiles of a segment, held to those that its leaves fill."""

    data: Mapping[str, bytes]

    def begin(self, first: int) -> tuple[Edge, str]:
        """An archive begins with the first leaf."""
        raise VerificationError(f"leaves before {first} are not archived")

    def grown(self, edge: Edge, filled: Sequence[Tile]) -> Iterable[Finding]:
        """Yield a finding for a tile that is not that of the leaves."""
        for tile in filled:
            if len(tile.hashes) == TILE_WIDTH * 32:
                name = archive.tile_name(f"tile/{tile.level}", tile.n)
                if self.data.get(name) != tile.hashes:
                    yield Finding(tile.n * TILE_WIDTH, "tile", f"`{name}` is not that of the leaves")
