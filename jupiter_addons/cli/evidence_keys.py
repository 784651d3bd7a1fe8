"""The keys under which content is kept, for commands that show or search it."""

from collections.abc import Iterator
from contextlib import contextmanager

from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage.subject_keys import SubjectKeys, load_master


@contextmanager
def subject_keys(settings: Configuration) -> Iterator[SubjectKeys | None]:
    """Give the keys of subjects; None if nothing was ever kept.  Raises StoreError if the master key is gone."""
    if not settings.subject_keys_path.exists():
        yield None
        return
    keys = SubjectKeys(settings.subject_keys_path, load_master(settings.content_key_path))
    try:
        yield keys
    finally:
        keys.close()
