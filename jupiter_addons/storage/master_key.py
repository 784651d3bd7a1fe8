"""The master key of content as a file, and how another takes its place without a moment in which content cannot be read.

    content.key        the key
    content.key.next   the one that takes its place, while it does

The next one is durable first.  Then all subject keys are wrapped by it, in one transaction: from there on it is the key, and
the old one opens nothing.  Then the old file is overwritten, and the next one gets its name.  What was cut short is finished
by the next who tries; who reads meanwhile finds the key in either file, because the database says which one it is.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.keyring import new_key
from jupiter_addons.storage import key_files
from jupiter_addons.storage.sqlite import hold_lock
from jupiter_addons.storage.subject_keys import Rotation, SubjectKeys, known_by, load_master

logger = logging.getLogger(__name__)


def open_keys(path: Path, key_path: Path) -> SubjectKeys:
    """Open the keys of subjects, made with a master key if there are none.  Raises StoreError."""
    next_path = _next(key_path)
    try:
        master = load_master(key_path, create=not path.exists())
    except StoreError:
        if not next_path.exists():
            raise
        master = key_files.read_seed(next_path)  # the other has been overwritten already

    def another(known: str) -> bytes | None:
        for candidate in (key_path, next_path, key_path):  # it may get its name while it is looked for
            if (found := _read(candidate)) is not None and known_by(found) == known:
                return found
        return None

    keys = SubjectKeys(path, master, another)
    if next_path.exists():
        logger.warning(
            "a rotation of `%s` is under way, or was cut short; hint: jupiter evidence keys rotate-master", key_path
        )
    return keys


@contextmanager
def rotating(path: Path, key_path: Path) -> Iterator[SubjectKeys]:
    """Give the keys of subjects to whoever rotates their master key, and to nobody else who would.  Raises StoreError."""
    with contextlib.closing(hold_lock(path)), contextlib.closing(open_keys(path, key_path)) as keys:
        yield keys


def finish(keys: SubjectKeys, key_path: Path) -> bool:
    """Go on with a rotation that was cut short after it was made; return whether there was one.  Raises StoreError.

    One that was cut short before is forgotten.
    """
    next_path = _next(key_path)
    if not next_path.exists():
        return False
    found = _read(key_path)
    if found is not None and known_by(found) == keys.master_known_by:
        _overwrite(next_path)
        next_path.unlink()
        return False
    if known_by(key_files.read_seed(next_path)) != keys.master_known_by:
        raise StoreError(f"neither `{key_path}` nor `{next_path}` is the key that the keys of subjects are wrapped by")
    _overwrite(key_path)
    try:
        next_path.replace(key_path)
    except OSError as error:
        raise StoreError(f"cannot put `{next_path}` in its place: {error}") from error
    keys.empty_log()
    return True


def rotate(keys: SubjectKeys, key_path: Path, now_us: int, operator: str) -> Rotation:
    """Put a new master key in the place of the one there is.  Raises StoreError."""
    finish(keys, key_path)
    master = new_key()
    try:
        key_files.write_once(_next(key_path), key_files.seed_text(master))
    except OSError as error:
        raise StoreError(f"cannot write the next content key beside `{key_path}`: {error}") from error
    rotation = keys.rewrap(master, now_us, operator)
    finish(keys, key_path)
    return rotation


def _next(key_path: Path) -> Path:
    return key_path.with_name(f"{key_path.name}.next")


def _read(path: Path) -> bytes | None:
    """Return the key in a file; None if it has none, or has it no more."""
    try:
        return key_files.read_seed(path)
    except StoreError:
        return None


def _overwrite(path: Path) -> None:
    """Overwrite a key in its file, as far as a disk lets itself be told."""
    try:
        with path.open("r+b") as file:
            file.write(b"\0" * os.fstat(file.fileno()).st_size)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(f"cannot overwrite `{path}`: {error}") from error
