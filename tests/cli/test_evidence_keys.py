"""Whoever shows content needs its keys, and is told if they are gone."""

from pathlib import Path

import pytest
from support.evidence import install

from jupiter_addons.cli.evidence_keys import subject_keys
from jupiter_addons.cli.options import configuration
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.storage.subject_keys import SubjectKeys, load_master


def test_the_keys_are_given_if_there_are_any(tmp_path):
    settings = configuration(Path(install(tmp_path)))
    with subject_keys(settings) as none:
        assert none is None
    made = SubjectKeys(settings.subject_keys_path, load_master(settings.content_key_path, create=True))
    key = made.key_of(Subject("", "hmac:alice"), 1)
    made.close()
    with subject_keys(settings) as keys:
        assert keys is not None
        assert keys.by_id(key.id) == key
    settings.content_key_path.unlink()
    with pytest.raises(StoreError, match="no content can be read"), subject_keys(settings):
        pass
