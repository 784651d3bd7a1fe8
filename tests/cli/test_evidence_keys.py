"""Whoever shows content needs its keys, and is told if they are gone."""

import json
from pathlib import Path

import pytest
from support.evidence import evidence, install

from jupiter_addons.cli.evidence_keys import subject_keys
from jupiter_addons.cli.options import configuration
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.storage.evidence_query import newest
from jupiter_addons.storage.sqlite import hold_lock
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


@pytest.fixture
def config(tmp_path):
    path = install(tmp_path, more="evidence: {content: encrypted}\n")
    settings = configuration(Path(path))
    keys = SubjectKeys(settings.subject_keys_path, load_master(settings.content_key_path, create=True))
    keys.key_of(Subject("", "hmac:alice"), 1)
    keys.close()
    return path


def details(config: str) -> list[dict]:
    found = (json.loads(row.leaf)["detail"] for row in newest(configuration(Path(config)).evidence_path, "key.rotate"))
    return [one for one in found if one["use"] == "content"]


def test_a_rotation_of_the_master_key_is_told_and_on_record(config):
    settings = configuration(Path(config))
    old = load_master(settings.content_key_path)
    done = evidence(config, "keys", "rotate-master")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"1 key wrapped by a new master key, {details(config)[0]['new'][:16]}…")
    assert load_master(settings.content_key_path) != old
    again = json.loads(evidence(config, "keys", "rotate-master", "--format", "json").stdout)
    assert again["old"] == details(config)[1]["new"]
    assert len(details(config)) == 2
    assert evidence(config, "verify", "--format", "json").exit_code == 0
    with subject_keys(settings) as keys:
        assert keys is not None and keys.teams("hmac:alice") == [""]


def test_where_nothing_was_kept_there_is_nothing_to_rotate(tmp_path):
    done = evidence(install(tmp_path), "keys", "rotate-master")
    assert (done.exit_code, "nothing of what anybody said was ever kept here" in done.stderr) == (1, True)


def test_a_rotation_that_nobody_puts_on_record_is_no_success_and_is_put_there_later(config, monkeypatch):
    monkeypatch.setattr("jupiter_addons.cli.on_record.WAIT_S", 0.0)
    held = hold_lock(configuration(Path(config)).evidence_path)
    done = evidence(config, "keys", "rotate-master")
    held.close()
    assert (done.exit_code, "the master key is rotated, and that is not on record yet" in done.stderr) == (3, True)
    assert details(config) == []
    evidence(config, "keys", "rotate-master")
    assert len(details(config)) == 2
