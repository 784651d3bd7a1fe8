"""The signing key and the pseudonym key, as files: created once, private, refused if others can read them."""

import base64
import contextlib
import os
import stat
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import PublicKey, SigningKey, from_seed, new_seed, parse_public_key

NAME = "evidence"


def load_or_create(directory: Path) -> tuple[SigningKey, bytes]:
    """Return the signing key and the 32-byte pseudonym key of `directory`, making them if they are not there.

    The public key is printed beside the private one, as `evidence.pub`.  Raises StoreError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = from_seed(NAME, _secret(directory / f"{NAME}.key"))
        public = directory / f"{NAME}.pub"
        if not public.exists():
            _create(public, f"{key.public}\n".encode(), mode=0o644)
        elif public.read_bytes().strip() != str(key.public).encode():
            raise StoreError(f"`{public}` is not the public key of `{NAME}.key`: nothing signed could be verified")
        return key, _secret(directory / "pseudonym.key")
    except OSError as error:
        raise StoreError(f"cannot use the signing keys in `{directory}`: {error}") from error


def public_keys(directory: Path) -> dict[str, PublicKey]:
    """Return every public key in `directory` by its `kid`.  Raises StoreError if there is none."""
    try:
        keys = [parse_public_key(path.read_text()) for path in sorted(directory.glob("*.pub"))]
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read the public keys in `{directory}`: {error}") from error
    if not keys:
        raise StoreError(f"there is no public key in `{directory}`")
    return {key.kid: key for key in keys}


def pseudonym_key(directory: Path) -> bytes:
    """Return the pseudonym key of `directory`.  Raises StoreError if it is not there."""
    path = directory / "pseudonym.key"
    if not path.exists():
        raise StoreError(f"there is no `{path}`")
    return _secret(path)


def content_key(directory: Path, *, create: bool = False) -> bytes:
    """Return the master key of what is kept of prompts and answers.  Raises StoreError if it is not there.

    `create` makes it.  Whoever loses it loses every text, and nothing else.
    """
    path = directory / "content.key"
    if not create and not path.exists():
        raise StoreError(f"there is no `{path}`, without which no content can be read; hint: restore it from a backup")
    return _secret(path)


def _secret(path: Path) -> bytes:
    if not path.exists():
        _create(path, base64.b64encode(new_seed()) + b"\n")
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise StoreError(f"`{path}` can be read by others (mode {mode:04o}); hint: chmod 600 {path}")
        try:
            secret = base64.b64decode(file.read().strip(), validate=True)
        except ValueError as error:
            raise StoreError(f"`{path}` is not base64") from error
    if len(secret) != 32:
        raise StoreError(f"`{path}` does not hold 32 bytes")
    return secret


def _create(path: Path, text: bytes, mode: int = 0o600) -> None:
    """Make a file that is whole or not there, whatever happens meanwhile; one that is there already stays."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):  # another process was first: its key is the key
            os.link(draft, path)
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
