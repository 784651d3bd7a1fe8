"""Verifying an archive with nothing but the archive and the root key.

Every object is fetched in the version that a signed manifest names, and has to be what that says; the leaves have to verify as
those of any log do, what was said with them has to be what they commit to, and the tree over them has to have the root that was
signed.  What was written over or hidden later is still there, and is said.

Of a segment that was archived before it was full its manifest is read for good, although another has superseded it: what the
key of the log has signed once it cannot take back.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import archive, checkpoint
from jupiter_addons.evidence import manifest as key_manifests
from jupiter_addons.evidence.archive import Manifest, Said
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.manifest import Manifest as KeyManifest
from jupiter_addons.evidence.merkle import HASH_BYTES, TILE_WIDTH, Edge, Tile
from jupiter_addons.evidence.payload import attempt_role
from jupiter_addons.evidence.signing import PublicKey
from jupiter_addons.evidence.verify import Finding, Report, Row, verify
from jupiter_addons.storage.evidence_archive import Objects, Version

type _Places = Mapping[tuple[int, int], str]
"""Segment and width -> the key of its manifest."""


@dataclass(slots=True)
class ArchivedLog:
    """What came of one log."""

    name: str
    origin: str = ""
    segments: int = 0
    """How many are full."""
    objects: int = 0
    report: Report = field(default_factory=Report)


def audit(objects: Objects, root: PublicKey) -> list[ArchivedLog]:
    """Verify all logs of an archive.  Raises StoreError if it cannot be read, VerificationError if its keys are not there."""
    versions: defaultdict[str, list[Version]] = defaultdict(list)
    for one in objects.versions(""):
        versions[one.key].append(one)
    keys = _keys(objects, versions, root)
    manifests: defaultdict[str, dict[tuple[int, int], str]] = defaultdict(dict)
    for key in versions:
        log, found, rest = key.partition("/manifest/")
        place = archive.manifest_place(f"manifest/{rest}") if found else None
        if place is not None:
            manifests[log][place] = key
    return [_Audit(objects, keys, versions, name).run(places) for name, places in sorted(manifests.items())]


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
        self._log_keys = tuple(keys.keys("log").values())
        self._versions = versions
        self._log = ArchivedLog(name)
        self._previous = "-"
        self._roots: dict[int, bytes] = {}
        """By size, as manifests that are believed say them."""

    def run(self, places: _Places) -> ArchivedLog:
        """Verify segment after segment; what comes behind one that is missing is not believed."""
        last = max(segment for segment, _ in places)
        for segment in range(last + 1):
            begun = self._begun(segment, places)
            if segment == last and (segment, TILE_WIDTH) not in places:
                if begun:
                    self._segment(begun[-1][1])
                break
            found = self._manifest(segment, TILE_WIDTH, places)
            if found is None or not self._segment(found[1]):
                break
            self._previous = hashlib.sha256(found[0]).hexdigest()
            self._log.segments += 1
        self._check_newest()
        return self._log

    def _find(self, segment: int, check: str, message: str) -> None:
        self._log.report.findings.append(Finding(segment * TILE_WIDTH, check, message))

    def _begun(self, segment: int, places: _Places) -> list[tuple[bytes, Manifest]]:
        """Return the manifests of a segment that were written before it was full, by width."""
        widths = sorted(width for number, width in places if number == segment and width < TILE_WIDTH)
        return [found for width in widths if (found := self._manifest(segment, width, places)) is not None]

    def _manifest(self, segment: int, width: int, places: _Places) -> tuple[bytes, Manifest] | None:
        """Return the manifest of a segment: of its versions, the one that goes on from the segment before."""
        good, key = dict[bytes, Manifest](), places.get((segment, width))
        what = f"segment {segment}" if width == TILE_WIDTH else f"the first {width} leaves of segment {segment}"
        for one in self._versions[key] if key is not None else ():
            if one.is_deletion:
                self._find(segment, "hidden", f"somebody has deleted the manifest of {what}; it is still there")
                continue
            data = self._objects.get(one.key, one.id)
            try:
                found = archive.opened(data, self._log_keys)
            except VerificationError as error:
                self._find(segment, "manifest", f"a version of the manifest of {what}: {error}")
                continue
            wanted = (segment, width, self._previous, self._log.origin or found.origin)
            if (found.segment, found.width, found.previous, found.origin) == wanted:
                good[data] = found
            else:
                self._find(segment, "manifest", f"a manifest of {what} does not go on from the segment before it")
        if not good:
            self._find(segment, "missing", f"{what} has no manifest that can be believed")
            return None
        if len({found.root for found in good.values()}) > 1:
            self._find(segment, "fork", f"the key of the log has signed two different roots of {what}")
        data, found = next(reversed(good.items()))  # the first that was written
        self._log.origin, self._roots[found.size] = found.origin, found.root
        return data, found

    def _segment(self, found: Manifest) -> bool:
        """Verify what a manifest names; return whether it is all there."""
        if (data := self._fetched(found)) is None:
            return False
        try:
            rows = list(_rows(found, data))
            head = checkpoint.opened(data[f"checkpoints/{found.size}"], self._log_keys)
        except (VerificationError, LookupError) as error:
            self._find(found.segment, "object", f"segment {found.segment} is not complete: {error}")
            return False
        report = self._log.report
        verify(
            rows,
            self._keys.keys("record"),
            revoked=self._keys.revoked(),
            tree=_Grown(data, self._roots),
            so_far=report,
            partial=True,
        )
        for tile in report.edge.partial():
            name = archive.tile_name(f"tile/{tile.level}", tile.n, len(tile.hashes) // HASH_BYTES)
            if data.get(name, tile.hashes) != tile.hashes:  # the first version of archives did not have them
                self._find(found.segment, "tile", f"`{name}` is not that of the leaves")
        if report.edge.root() != found.root or head != Checkpoint(found.origin, found.size, found.root):
            self._find(found.segment, "tree", f"segment {found.segment} does not come to the root that was signed")
        report.findings += _wrongly_said(rows, data)
        return True

    def _fetched(self, found: Manifest) -> dict[str, bytes] | None:
        """Return the objects of a manifest by name; None if one is not what it says."""
        data = dict[str, bytes]()
        for one in found.objects:
            key = f"{self._log.name}/{one.name}"
            try:
                got = self._objects.get(key, one.version)
            except StoreError as error:
                self._find(found.segment, "object", str(error))
                return None
            if (hashlib.sha256(got).hexdigest(), len(got)) != (one.sha256, one.length):
                self._find(found.segment, "object", f"`{key}` is not what its manifest says")
                return None
            if any(other.is_deletion for other in self._versions.get(key, ())):
                self._find(found.segment, "hidden", f"somebody has deleted `{key}`; it is still there")
            data[one.name] = got
            self._log.objects += 1
        return data

    def _check_newest(self) -> None:
        """Hold the newest checkpoint, which clients of such logs begin with, to what is archived."""
        key, size = f"{self._log.name}/checkpoint", self._log.report.edge.size
        newest = next((one for one in self._versions.get(key, ()) if not one.is_deletion), None)
        if newest is None:
            return  # it is made anew with the next segment, and says nothing that no manifest does
        try:
            head = checkpoint.opened(self._objects.get(key, newest.id), self._log_keys)
            if head.origin != self._log.origin:
                raise VerificationError(f"it is of `{head.origin}`")
        except VerificationError as error:
            self._log.report.findings.append(Finding(-1, "checkpoint", f"the newest checkpoint: {error}"))
            return
        if head.size > size:
            message = f"the newest checkpoint is of {head.size} leaves, and {size} are archived"
            self._log.report.findings.append(Finding(-1, "truncated", message))
        elif self._roots.get(head.size) != head.root:
            message = "the newest checkpoint is not of what is archived"
            self._log.report.findings.append(Finding(-1, "checkpoint", message))


def _rows(found: Manifest, data: Mapping[str, bytes]) -> Iterator[Row]:
    leaves = archive.unpack_leaves(data[found.object_name(archive.ENTRIES)])
    signatures = archive.split_signatures(data[found.object_name("signatures")])
    if len(leaves) != found.width or len(signatures) != found.width:
        raise VerificationError(f"{len(leaves)} leaves and {len(signatures)} signatures of {found.width}")
    first = found.segment * TILE_WIDTH
    for number, (leaf, signature) in enumerate(zip(leaves, signatures, strict=True)):
        yield Row(first + number, leaf, signature)


def _wrongly_said(rows: Sequence[Row], data: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield a finding for everything that was said by no leaf of a segment; what is not there may have been let go before."""
    leaves = {row.idx: row.leaf for row in rows}
    for name in sorted(name for name in data if name.startswith(archive.SAID)):
        try:
            wrong = [said for said in archive.unpack_said(data[name]) if not _commits(leaves.get(said.idx), said)]
        except VerificationError as error:
            yield Finding(rows[0].idx, "payload", f"`{name}`: {error}")
            continue
        for said in wrong:
            message = f"the {said.role} of call {said.call_id} in `{name}` is not what its leaf commits to"
            yield Finding(said.idx, "payload", message)


def _commits(leaf: bytes | None, said: Said) -> bool:
    """Whether a leaf commits to what is archived as said."""
    try:
        fields = orjson.loads(leaf or b"")
        number = fields.get("attempt", {}).get("number")
        stored = hashlib.sha256(said.ciphertext).hexdigest()
        named = (
            (entry["role"] if number is None else attempt_role(number), entry.get("key"), entry.get("ct_sha256"))
            for entry in fields.get("payload", ())
        )
        return bool(fields["id"] == said.call_id) and (said.role, said.key_id, stored) in named
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


@dataclass(frozen=True, slots=True)
class _Grown:
    """The tiles of a segment and the roots that were signed, held to its leaves."""

    data: Mapping[str, bytes]
    roots: Mapping[int, bytes]

    def begin(self, first: int) -> tuple[Edge, str]:
        """An archive begins with the first leaf."""
        raise VerificationError(f"leaves before {first} are not archived")

    def grown(self, edge: Edge, filled: Sequence[Tile]) -> Iterable[Finding]:
        """Yield a finding for a tile, or a root of fewer leaves, that is not that of the leaves."""
        for tile in filled:
            if len(tile.hashes) == TILE_WIDTH * HASH_BYTES:
                name = archive.tile_name(f"tile/{tile.level}", tile.n)
                if self.data.get(name) != tile.hashes:
                    yield Finding(tile.n * TILE_WIDTH, "tile", f"`{name}` is not that of the leaves")
        if edge.size % TILE_WIDTH and edge.size in self.roots and self.roots[edge.size] != edge.root():
            yield Finding(edge.size - 1, "fork", f"the key of the log has signed another tree of {edge.size} leaves")
