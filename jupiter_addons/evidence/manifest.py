"""The manifest: which keys sign records and checkpoints, vouched for by a root key that is needed for nothing else.

    mercator-jupiter/keys@v1
    serial 2
    record evidence+5be0c1d2+AZ4f… retired 1764000000000000 1769000000000000
    record evidence+77ab0912+AQx3… active 1769000000000000 -
    log log+0b1c2d3e+ARg7… active 1764000000000000 -

    — jupiter-root …                     a signed note, by the root

A line says what the key is for, the key itself, its state, since when (UTC microseconds) and until when.  A retired key signs
nothing more and what it has signed still verifies; what a revoked key has signed since then does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import note
from jupiter_addons.evidence.signing import PublicKey, SigningKey, parse_public_key

HEAD = "mercator-jupiter/keys@v1"
ROOT_NAME = "jupiter-root"

type Use = Literal["record", "log"]
type State = Literal["active", "retired", "revoked"]
NAMES: dict[Use, str] = {"record": "evidence", "log": "log"}
"""What the keys of each use are called."""
_STATES: tuple[State, ...] = get_args(State.__value__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the manifest.  Times are UTC microseconds."""

    use: Use
    key: PublicKey
    state: State
    since_us: int
    until_us: int | None = None

    def __str__(self) -> str:
        until = "-" if self.until_us is None else self.until_us
        return f"{self.use} {self.key} {self.state} {self.since_us} {until}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The keys, oldest first; each use has one that is active."""

    serial: int
    entries: tuple[Entry, ...]

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in (HEAD, f"serial {self.serial}", *self.entries))

    def active(self, use: Use) -> PublicKey:
        """Return the key that signs now."""
        return next(entry.key for entry in self.entries if entry.use == use and entry.state == "active")

    def keys(self, use: Use) -> dict[str, PublicKey]:
        """Return every key there ever was for a use, by its kid."""
        return {entry.key.kid: entry.key for entry in self.entries if entry.use == use}

    def revoked(self) -> dict[str, int]:
        """Return since when the revoked keys are not to be believed, by their kid."""
        return {entry.key.kid: entry.until_us or 0 for entry in self.entries if entry.state == "revoked"}

    def rotated(self, use: Use, key: PublicKey, now_us: int, *, revoke: bool = False) -> Self:
        """Return the next manifest, in which `key` has taken the place of the one that was active."""
        ended: State = "revoked" if revoke else "retired"
        entries = [
            replace(entry, state=ended, until_us=now_us) if entry.use == use and entry.state == "active" else entry
            for entry in self.entries
        ]
        return replace(self, serial=self.serial + 1, entries=(*entries, Entry(use, key, "active", now_us)))


def first(record: PublicKey, log: PublicKey, now_us: int, former: Iterable[PublicKey] = ()) -> Manifest:
    """Return a first manifest; `former` are keys that have signed records before there was one."""
    retired = [Entry("record", key, "retired", 0, now_us) for key in former]
    return Manifest(1, (*retired, Entry("record", record, "active", now_us), Entry("log", log, "active", now_us)))


def sign(manifest: Manifest, root: SigningKey, *others: SigningKey) -> str:
    """Return the signed note of a manifest.  On a rotation `others` are the old key and the new one, which both agree to it."""
    return note.sign(str(manifest), root, *others)


def opened(data: bytes, root: PublicKey) -> Manifest:
    """Read a manifest that the root has signed.  Raises VerificationError."""
    unsure = parse(note.parse(data).text)
    signed = note.opened(data, [root, *(entry.key for entry in unsure.entries)])
    if not any((one.name, one.id) == (root.name, root.id) for one in signed.signatures):
        raise VerificationError(f"the manifest of keys is not signed by the root `{root.kid}`")
    return unsure


def parse(text: str) -> Manifest:
    """Read the text of a manifest.  Raises VerificationError on anything but the one form it has."""
    try:
        head, serial, *lines, last = text.split("\n")
        found = Manifest(int(serial.removeprefix("serial ")), tuple(map(_entry, lines)))
    except ValueError as error:
        raise VerificationError(f"this is no manifest of keys: {error}") from error
    if head != HEAD or last or str(found) != text:
        raise VerificationError("the manifest of keys is not written in its one form")
    _check(found.entries)
    return found


def _entry(line: str) -> Entry:
    use, printed, state, since, until = line.split(" ")
    if use not in NAMES or state not in _STATES:
        raise ValueError(f"`{use} … {state}` is no kind of key")
    key = parse_public_key(printed)
    return Entry(use, key, state, int(since), None if until == "-" else int(until))


def _check(entries: Iterable[Entry]) -> None:
    kids = [entry.key.kid for entry in entries]
    for use, name in NAMES.items():
        mine = [entry for entry in entries if entry.use == use]
        if sum(entry.state == "active" for entry in mine) != 1 or any(entry.key.name != name for entry in mine):
            raise VerificationError(f"the manifest does not name one active {use} key, called `{name}`")
    if len(set(kids)) != len(kids) or any((entry.state == "active") != (entry.until_us is None) for entry in entries):
        raise VerificationError("the manifest names a key twice, or one that has no end or two")
