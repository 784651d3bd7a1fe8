"""The directory of the signing keys: private ones as PKCS#8, public ones as SPKI, and the manifest that names them.

    keys.note                 which key signs what, signed by the root
    root.pub, root.key        the root; its private half is needed for a rotation only, and better kept elsewhere
    evidence-<id>.key, .pub   the key of records
    log-<id>.key, .pub        the key of checkpoints
    pseudonym.key             what users' pseudonyms are made with

Keys are made at the first start.  A log that exists and whose keys do not is another matter: a new key would make all that
it has signed look forged, or what is forged look signed.  A private file that others can read is refused.

The first version kept one plain seed, `evidence.key`; it goes on as the key of records.
"""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jupiter_addons.errors import StoreError, VerificationError
from jupiter_addons.evidence import manifest
from jupiter_addons.evidence.manifest import NAMES, ROOT_NAME, Manifest, Use
from jupiter_addons.evidence.signing import PublicKey, SigningKey, from_seed, new_seed, parse_public_key
from jupiter_addons.storage import key_files

logger = logging.getLogger(__name__)

MANIFEST = "keys.note"
ROOT = "root"
PSEUDONYM = "pseudonym.key"
_SEED = "evidence.key"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a gateway signs with."""

    record: SigningKey
    log: SigningKey
    manifest: Manifest
    pseudonym: bytes = field(repr=False)


def load_or_create(
    directory: Path, logs: Sequence[Path] = (), now_us: Callable[[], int] = lambda: time.time_ns() // 1000
) -> Keys:
    """Return the keys of `directory`, making them if there are none and none of `logs` exists yet.  Raises StoreError."""
    with _held(directory):
        if not (directory / MANIFEST).exists():
            _create_all(directory, logs, now_us())
        trusted = load_manifest(directory)
        found: dict[Use, SigningKey] = {use: _signing_key(directory, trusted.active(use)) for use in NAMES}
        return Keys(found["record"], found["log"], trusted, _pseudonym(directory))


def create(directory: Path, root_file: Path, now_us: int) -> Manifest:
    """Make keys where there are none, with the private half of the root in a file of its own.  Raises StoreError."""
    with _held(directory):
        if any(directory.glob("*.key")) or (directory / MANIFEST).exists():
            raise StoreError(f"there are keys in `{directory}` already")
        return _create(directory, root_file, now_us)


def rotate(directory: Path, root_file: Path, uses: Sequence[Use], now_us: int, *, revoke: bool = False) -> Manifest:
    """Put new keys in the place of those that sign now; the next start signs with them.  Raises StoreError.

    The private halves of the old ones are deleted; what they have signed stays verifiable by the manifest.
    """
    with _held(directory):
        trusted, root = load_manifest(directory), _root(directory, root_file)
        agreed: list[SigningKey] = []
        old = [trusted.active(use) for use in uses]
        for use in uses:
            key = from_seed(NAMES[use], new_seed())
            if not revoke:  # a key that is in wrong hands has no say in who comes after it
                agreed.append(_signing_key(directory, trusted.active(use)))
            agreed.append(key)
            _keep(directory, key)
            trusted = trusted.rotated(use, key.public, now_us, revoke=revoke)
        key_files.replace(directory / MANIFEST, manifest.sign(trusted, root, *agreed).encode())
        for key_of_old in old:
            _private_file(directory, key_of_old).unlink(missing_ok=True)
        return trusted


def load_manifest(directory: Path, root: PublicKey | None = None) -> Manifest:
    """Return the manifest of `directory` as `root` has signed it; the root found there if none is given.

    Raises StoreError.
    """
    try:
        data = (directory / MANIFEST).read_bytes()
        return manifest.opened(data, root or load_root(directory))
    except FileNotFoundError as error:
        raise StoreError(f"there is no `{error.filename}`: without it no key is known to be ours") from error
    except (OSError, VerificationError) as error:
        raise StoreError(f"cannot use `{directory / MANIFEST}`: {error}") from error


def manifest_note(directory: Path) -> bytes:
    """Return the manifest as it was signed, after it was verified.  Raises StoreError."""
    load_manifest(directory)
    return (directory / MANIFEST).read_bytes()


def load_root(directory: Path) -> PublicKey:
    """Return the public half of the root.  Raises StoreError."""
    return key_files.read_spki(directory / f"{ROOT}.pub", ROOT_NAME)


def public_keys(directory: Path) -> dict[str, PublicKey]:
    """Return every key that has ever signed records, by its `kid`.  Raises StoreError."""
    return load_manifest(directory).keys("record")


def pseudonym_key(directory: Path) -> bytes:
    """Return the pseudonym key of `directory`.  Raises StoreError if it is not there."""
    return _pseudonym(directory)


def _create_all(directory: Path, logs: Sequence[Path], now_us: int) -> None:
    """Make what a first start makes, or go on with the seed of the first version."""
    plain = directory / _SEED
    if plain.exists():
        seed = key_files.read_seed(plain)
        record, printed = from_seed(NAMES["record"], seed), _printed(directory)
        former = [key for key in printed.values() if key != record.public]
        _create(directory, directory / f"{ROOT}.key", now_us, record, former)
        for path in (plain, *printed):
            path.unlink()
        logger.warning("the signing key in `%s` is kept as PKCS#8 from now on, under a manifest and a root", directory)
    elif existing := [path for path in logs if path.exists()]:
        raise StoreError(
            f"`{existing[0]}` has been signed by keys that are not in `{directory}`; "
            "hint: bring them back, or give the log up with jupiter evidence recover"
        )
    else:
        _create(directory, directory / f"{ROOT}.key", now_us)
        logger.warning("signing keys were made; keep `%s` elsewhere, a rotation asks for it", directory / f"{ROOT}.key")


def _printed(directory: Path) -> dict[Path, PublicKey]:
    """Return the public keys of the first version, which printed them and nothing else."""
    found: dict[Path, PublicKey] = {}
    for path in sorted(directory.glob("*.pub")):
        try:
            found[path] = parse_public_key(path.read_text())
        except ValueError:
            continue  # one of ours, from a start that was cut short
        except OSError as error:
            raise StoreError(f"cannot read `{path}`: {error}") from error
    return found


def _create(
    directory: Path,
    root_file: Path,
    now_us: int,
    record: SigningKey | None = None,
    former: Sequence[PublicKey] = (),
) -> Manifest:
    # A root without a manifest is what is left of a start that was cut short.
    root = from_seed(ROOT_NAME, key_files.read_pkcs8(root_file) if root_file.exists() else new_seed())
    record, log = record or from_seed(NAMES["record"], new_seed()), from_seed(NAMES["log"], new_seed())
    try:
        if not root_file.exists():
            key_files.write_once(root_file, key_files.pkcs8(root.seed))
        key_files.replace(directory / f"{ROOT}.pub", key_files.spki(root.public))
        if not _private_file(directory, record.public).exists():
            _keep(directory, record)
        _keep(directory, log)
        if not (directory / PSEUDONYM).exists():
            key_files.write_once(directory / PSEUDONYM, key_files.seed_text(new_seed()))
        found = manifest.first(record.public, log.public, now_us, former)
        key_files.replace(directory / MANIFEST, manifest.sign(found, root).encode())
    except OSError as error:
        raise StoreError(f"cannot write the signing keys to `{directory}`: {error}") from error
    return found


def _keep(directory: Path, key: SigningKey) -> None:
    private = _private_file(directory, key.public)
    key_files.write_once(private, key_files.pkcs8(key.seed))
    key_files.write_once(private.with_suffix(".pub"), key_files.spki(key.public), mode=0o644)


def _signing_key(directory: Path, public: PublicKey) -> SigningKey:
    path = _private_file(directory, public)
    if not path.exists():
        raise StoreError(
            f"`{path}` is gone: the manifest names it as the key that signs; hint: bring it back, or rotate"
        )
    key = from_seed(public.name, key_files.read_pkcs8(path))
    if key.public != public:
        raise StoreError(f"`{path}` is not the private half of `{public.kid}`")
    return key


def _root(directory: Path, root_file: Path) -> SigningKey:
    if not root_file.exists():
        raise StoreError(f"there is no `{root_file}`, and only the root can vouch for a new key; hint: --root FILE")
    root = from_seed(ROOT_NAME, key_files.read_pkcs8(root_file))
    if root.public != load_root(directory):
        raise StoreError(f"`{root_file}` is not the root of the keys in `{directory}`")
    return root


def _private_file(directory: Path, key: PublicKey) -> Path:
    return directory / f"{key.name}-{key.id.hex()}.key"


def _pseudonym(directory: Path) -> bytes:
    path = directory / PSEUDONYM
    if not path.exists():
        raise StoreError(f"there is no `{path}`: users could not be found again under the names they have in the log")
    return key_files.read_seed(path)


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Hold the directory against other processes that start or rotate at the same time."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = os.open(directory, os.O_RDONLY)
    except OSError as error:
        raise StoreError(f"cannot use the signing keys in `{directory}`: {error}") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
