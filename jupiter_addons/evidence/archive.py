"""What an archive is made of: segments of 256 leaves, each complete in itself, and a signed manifest of each.

    mercator-jupiter/archive@v1
    jupiter/3f1c…                                    the log
    segment 7                                        leaves from 1792 on
    tree 2048 CsUYapGGPo4dkMgI…                      the root over all leaves up to here
    previous 5be0c1d2…                               SHA-256 of the manifest of segment 6, or -
    object tile/entries/007 31f0… 88012 3HL4kqt…     name, SHA-256, bytes, version: one line an object

    — jupiter/3f1c… Az3grlgt…                        a signed note, by the key of the log

`checkpoint`, `tile/entries/` and `tile/<level>/` are as C2SP tlog-tiles has them (an entry bundle is compressed with gzip, and
says so), for any client of such logs; `signatures/` has the 64 bytes of each leaf's signature, `payload/` what was said,
encrypted.  Versions are pinned, because a store that takes the same name twice keeps both.

The last segment of a log that hardly grows is archived before it is full, `007.p/44` while it has 44 leaves.  It is superseded
by a wider one, in the end by the full one; what was said is not written again, but named again.
"""

import gzip
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import orjson

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import note
from jupiter_addons.evidence.encoding import base64_of, from_base64
from jupiter_addons.evidence.merkle import HASH_BYTES, TILE_WIDTH
from jupiter_addons.evidence.signing import PublicKey, SigningKey

HEAD = "mercator-jupiter/archive@v1"
ENTRIES, SAID = "tile/entries", "payload"
"""Where leaves are, and what was said with them."""
SIGNATURE_BYTES = 64
MAX_SEGMENT_BYTES = 32 * 1024 * 1024
"""Of leaves, uncompressed: 256 of the longest are half of that."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object of a segment, as it was read back."""

    name: str
    sha256: str
    length: int
    version: str

    def __str__(self) -> str:
        return f"object {self.name} {self.sha256} {self.length} {self.version}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What there is of a segment."""

    origin: str
    segment: int
    root: bytes
    previous: str
    objects: tuple[Object, ...]
    width: int = TILE_WIDTH
    """How many leaves it has."""

    @property
    def size(self) -> int:
        """How many leaves the log had at its end."""
        return self.segment * TILE_WIDTH + self.width

    @property
    def name(self) -> str:
        """What it is called in the archive."""
        return f"manifest/{self.segment:08}{_partial(self.width)}"

    def object_name(self, kind: str) -> str:
        """Return the name of its one object of a kind."""
        return tile_name(kind, self.segment, self.width)

    def __str__(self) -> str:
        lines = (
            HEAD,
            self.origin,
            f"segment {self.segment}",
            f"tree {self.size} {base64_of(self.root)}",
            f"previous {self.previous}",
            *map(str, self.objects),
        )
        return "".join(f"{line}\n" for line in lines)


def sign(manifest: Manifest, key: SigningKey) -> bytes:
    """Return the signed note of a manifest."""
    return note.sign(str(manifest), key.named(manifest.origin)).encode()


def opened(data: bytes, log_keys: Iterable[PublicKey]) -> Manifest:
    """Read a manifest that a key of its log has signed.  Raises VerificationError."""
    unsure = parse(note.parse(data).text)
    note.opened(data, [PublicKey(unsure.origin, key.raw) for key in log_keys])
    return unsure


def parse(text: str) -> Manifest:
    """Read the text of a manifest.  Raises VerificationError on anything but the one form it has."""
    try:
        head, origin, segment, tree, previous, *objects, last = text.split("\n")
        number, (_, size, root) = int(segment.removeprefix("segment ")), tree.split(" ")
        found = Manifest(
            origin,
            number,
            from_base64(root),
            previous.removeprefix("previous "),
            tuple(map(_object, objects)),
            int(size) - number * TILE_WIDTH,
        )
    except (ValueError, IndexError) as error:
        raise VerificationError("this is no manifest of an archive") from error
    placed = found.segment >= 0 and 0 < found.width <= TILE_WIDTH
    if head != HEAD or last or str(found) != text or len(found.root) != HASH_BYTES or not placed:
        raise VerificationError("the manifest of the archive is not written in its one form")
    return found


def _object(line: str) -> Object:
    kind, name, sha256, length, version = line.split(" ")
    if kind != "object" or len(sha256) != 2 * HASH_BYTES:
        raise ValueError("no object")
    return Object(name, sha256, int(length), version)


def tile_name(kind: str, n: int, width: int = TILE_WIDTH) -> str:
    """Return the name of a tile: its number in groups of three digits, `x` before all but the last, its width if not full."""
    groups = [f"{n % 1000:03}"]
    while n := n // 1000:
        groups.append(f"x{n % 1000:03}")
    return "/".join((kind, *reversed(groups))) + _partial(width)


def manifest_place(name: str) -> tuple[int, int] | None:
    """Return the segment and the width that the name of a manifest says; None if it is another name."""
    number, dot, width = name.removeprefix("manifest/").partition(".p/")
    wide = int(width) if dot and width.isdecimal() else 0 if dot else TILE_WIDTH
    if not number.isdecimal() or not wide or Manifest("", int(number), b"", "", (), wide).name != name:
        return None
    return int(number), wide


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"


def pack_leaves(leaves: Iterable[bytes]) -> bytes:
    """Return the entry bundle of leaves, compressed; the same leaves always make the same bytes."""
    return gzip.compress(b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in leaves), mtime=0)


def unpack_leaves(data: bytes) -> list[bytes]:
    """Return the leaves of a bundle.  Raises VerificationError."""
    import io
    import zlib

    try:
        with gzip.open(io.BytesIO(data)) as stream:
            whole = stream.read(MAX_SEGMENT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise VerificationError("an entry bundle cannot be decompressed") from error
    leaves, at = list[bytes](), 0
    while at < len(whole):
        end = at + 2 + int.from_bytes(whole[at : at + 2])
        if end > len(whole) or len(whole) > MAX_SEGMENT_BYTES:
            raise VerificationError("an entry bundle ends in the middle of a leaf, or is too long")
        leaves.append(whole[at + 2 : end])
        at = end
    return leaves


def split_signatures(data: bytes) -> list[bytes]:
    """Return the signatures of a segment.  Raises VerificationError."""
    if len(data) % SIGNATURE_BYTES:
        raise VerificationError("the signatures of a segment end in the middle of one")
    return [data[at : at + SIGNATURE_BYTES] for at in range(0, len(data), SIGNATURE_BYTES)]


@dataclass(frozen=True, slots=True)
class Said:
    """One encrypted body."""

    idx: int
    call_id: str
    role: str
    key_id: str
    ciphertext: bytes


def pack_said(said: Sequence[Said]) -> bytes:
    """Return bodies one after the other, each behind a line of JSON."""
    parts = list[bytes]()
    for one in said:
        parts += (
            orjson.dumps([one.idx, one.call_id, one.role, one.key_id, len(one.ciphertext)]),
            b"\n",
            one.ciphertext,
        )
    return b"".join(parts)


def unpack_said(data: bytes) -> Iterator[Said]:
    """Yield the bodies.  Raises VerificationError."""
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        try:
            idx, call_id, role, key_id, length = orjson.loads(data[at:end])
            body = data[end + 1 : end + 1 + length]
            if end < 0 or len(body) != length:
                raise ValueError("cut")
        except (ValueError, TypeError) as error:
            raise VerificationError("what was said is not archived in its one form") from error
        yield Said(idx, call_id, role, key_id, body)
        at = end + 1 + length
