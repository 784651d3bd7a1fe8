"""What witnesses have cosigned, as files beside the anchors: of each log and witness the newest checkpoint.

An anchor says how far we remember a log to have come.  These say how far somebody else does, in a form that a third party
can verify, and go into bundles.  Like an anchor, none is ever taken back.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import note
from jupiter_addons.evidence.cosignature import Cosigner, Witnessed, opened
from jupiter_addons.evidence.note import Note, Signature
from jupiter_addons.storage import key_files

SUFFIX = ".cosigned"


class Cosigned:
    """The cosigned checkpoints in one directory, of the witnesses that are known."""

    def __init__(self, directory: Path, cosigners: Iterable[Cosigner]) -> None:
        self._directory = directory
        self._cosigners = tuple(cosigners)

    def read(self, origin: str, cosigner: Cosigner) -> Witnessed | None:
        """Return what a witness has said of a log last; None if nothing is kept.  Raises StoreError."""
        path = self._file(origin, cosigner)
        return self._opened(path, cosigner)[0] if path.exists() else None

    def all(self) -> Iterator[Witnessed]:
        """Yield what is kept of all logs and witnesses.  Raises StoreError."""
        for cosigner in self._cosigners:
            for path in sorted(self._directory.glob(f"*.{cosigner.id.hex()}{SUFFIX}")):
                yield self._opened(path, cosigner)[0]

    def keep(self, data: bytes, cosigner: Cosigner) -> Witnessed:
        """Keep a checkpoint and the cosignature of one witness in place of an older one; others' signatures are left out.

        Raises VerificationError if the witness has not cosigned it, StoreError if it cannot be kept.
        """
        [newer] = opened(data, [cosigner])
        older = self.read(newer.head.origin, cosigner)
        if older is not None and older.head.size > newer.head.size:
            raise StoreError(f"`{cosigner.name}` is known to have seen {older.head.size} leaves already")
        found = note.parse(data)
        kept = [one for one in found.signatures if one.name == newer.head.origin or _is_of(one, cosigner)]
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            whole = note.render(Note(found.text, tuple(kept))).encode()
            key_files.replace(self._file(newer.head.origin, cosigner), whole)
        except OSError as error:
            raise StoreError(f"cannot keep what `{cosigner.name}` has cosigned: {error}") from error
        return newer

    def newest(self, origin: str, beyond: int) -> tuple[int, bytes] | None:
        """Return size and note of the checkpoint of more than `beyond` leaves that most witnesses have cosigned.

        It has the cosignatures of all of them.  Of several the largest; None if there is none.  Raises StoreError.
        """
        found: defaultdict[tuple[int, str], list[Note]] = defaultdict(list)
        for cosigner in self._cosigners:
            path = self._file(origin, cosigner)
            if path.exists():
                seen, data = self._opened(path, cosigner)
                if seen.head.size > beyond:
                    one = note.parse(data)
                    found[seen.head.size, one.text].append(one)
        if not found:
            return None
        (size, text), notes = max(found.items(), key=lambda entry: (len(entry[1]), entry[0]))
        signatures = {(one.name, one.id): one for kept in notes for one in kept.signatures}
        return size, note.render(Note(text, tuple(signatures.values()))).encode()

    def _file(self, origin: str, cosigner: Cosigner) -> Path:
        return self._directory / f"{origin.rpartition('/')[2]}.{cosigner.id.hex()}{SUFFIX}"

    def _opened(self, path: Path, cosigner: Cosigner) -> tuple[Witnessed, bytes]:
        try:
            data = path.read_bytes()
            [found] = opened(data, [cosigner])
        except (OSError, VerificationError) as error:
            raise StoreError(f"what `{cosigner.name}` has cosigned, `{path}`, cannot be used: {error}") from error
        if self._file(found.head.origin, cosigner) != path:
            raise StoreError(f"`{path}` is of another log, `{found.head.origin}`")
        return found, data


def _is_of(signature: Signature, cosigner: Cosigner) -> bool:
    return (signature.name, signature.id) == (cosigner.name, cosigner.id)
