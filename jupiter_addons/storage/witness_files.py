"""The files of a witness: its key, and the list of the logs that it knows.

witness.key     the private key, PKCS#8, for nobody else to read
witness.pub     the name and the public key as logs and verifiers are given them
witness.db      what it has cosigned (`witness_sqlite`)
"""

from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.cosignature import Cosigner, parse_cosigner
from jupiter_addons.evidence.signing import PublicKey, SigningKey, from_seed, new_seed
from jupiter_addons.evidence.witness import parse_logs
from jupiter_addons.storage import key_files

PRIVATE, PUBLIC, MEMORY = "witness.key", "witness.pub", "witness.db"


def create_key(directory: Path, name: str) -> SigningKey:
    """Make the key of a witness where there is none.  Raises StoreError, ValueError if the name is none."""
    if (directory / PRIVATE).exists() or (directory / PUBLIC).exists():
        raise StoreError(f"there is a witness's key in `{directory}` already")
    key = from_seed(name, new_seed())
    parse_cosigner(str(Cosigner(key.public)))
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key_files.write_once(directory / PRIVATE, key_files.pkcs8(key.seed))
        key_files.replace(directory / PUBLIC, f"{Cosigner(key.public)}\n".encode())
    except OSError as error:
        raise StoreError(f"cannot write the witness's key to `{directory}`: {error}") from error
    return key


def load_cosigner(directory: Path) -> Cosigner:
    """Return the witness as others know it.  Raises StoreError."""
    try:
        return parse_cosigner((directory / PUBLIC).read_text())
    except (OSError, ValueError) as error:
        hint = "hint: jupiter evidence witness keys --name NAME"
        raise StoreError(f"cannot read the witness's key `{directory / PUBLIC}`: {error}; {hint}") from error


def load_key(directory: Path) -> SigningKey:
    """Return the key of a witness.  Raises StoreError."""
    cosigner = load_cosigner(directory)
    key = from_seed(cosigner.name, key_files.read_pkcs8(directory / PRIVATE))
    if key.public != cosigner.key:
        raise StoreError(f"`{directory / PRIVATE}` is not the private half of `{cosigner}`")
    return key


def load_logs(path: Path) -> dict[str, list[PublicKey]]:
    """Return the logs that are known, by origin.  Raises StoreError."""
    try:
        return parse_logs(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read the list of logs `{path}`: {error}") from error
