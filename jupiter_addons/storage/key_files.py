"""Key files: private ones as PKCS#8 that nobody else can read, public ones as SPKI, each whole or not there.

Ed25519 in both (RFC 8410) is a fixed head and the 32 bytes that differ.
"""

import base64
import os
import stat
from collections.abc import Callable
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import PublicKey

_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
_SPKI = bytes.fromhex("302a300506032b6570032100")


def read_pkcs8(path: Path) -> bytes:
    """Return the seed in a private key file.  Raises StoreError."""
    return _private(path, lambda text: _from_pem(text.decode(), "PRIVATE KEY", _PKCS8))


def read_seed(path: Path) -> bytes:
    """Return the 32 bytes in a private file of base64.  Raises StoreError."""
    return _private(path, _from_base64)


def read_spki(path: Path, name: str) -> PublicKey:
    """Read a public key file; what stands before its PEM block is for people.  Raises StoreError."""
    try:
        return PublicKey(name, _from_pem(path.read_text(), "PUBLIC KEY", _SPKI))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read the public key `{path}`: {error}") from error


def pkcs8(seed: bytes) -> bytes:
    """Return a private key file."""
    return _to_pem("PRIVATE KEY", _PKCS8 + seed)


def seed_text(seed: bytes) -> bytes:
    """Return a private file of base64."""
    return base64.b64encode(seed) + b"\n"


def spki(key: PublicKey) -> bytes:
    """Return a public key file: the key as signed notes print it, then as everybody else does."""
    return f"{key}\n".encode() + _to_pem("PUBLIC KEY", _SPKI + key.raw)


def write_once(path: Path, text: bytes, mode: int = 0o600) -> None:
    """Make a file that is whole or not there; one that is there already is a fault."""
    draft = _draft(path, text, mode)
    try:
        os.link(draft, path)
    finally:
        draft.unlink()
    sync(path.parent)


def replace(path: Path, text: bytes) -> None:
    """Put a public file in the place of the one that is there, if any."""
    _draft(path, text, 0o644).replace(path)
    sync(path.parent)


def _private(path: Path, decode: Callable[[bytes], bytes]) -> bytes:
    """Return the 32 bytes of a private file."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise StoreError(f"`{path}` can be read by others (mode {mode:04o}); hint: chmod 600 {path}")
            secret = decode(file.read())
    except ValueError as error:
        raise StoreError(f"`{path}` holds no key: {error}") from error
    except OSError as error:
        raise StoreError(f"cannot read `{path}`: {error}") from error
    if len(secret) != 32:
        raise StoreError(f"`{path}` does not hold 32 bytes")
    return secret


def _from_base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except ValueError as error:
        raise ValueError("it is not base64") from error


def _from_pem(text: str, label: str, prefix: bytes) -> bytes:
    _, begin, rest = text.partition(f"-----BEGIN {label}-----")
    body, end, _ = rest.partition(f"-----END {label}-----")
    der = base64.b64decode("".join(body.split()), validate=True)
    if not begin or not end or len(der) != len(prefix) + 32 or not der.startswith(prefix):
        raise ValueError(f"it is no Ed25519 {label} in PEM")
    return der[len(prefix) :]


def _to_pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n".encode()


def _draft(path: Path, text: bytes, mode: int) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return draft


def sync(directory: Path) -> None:
    """Have it on the disk which files a directory has.  Raises OSError."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
