"""`jupiter evidence erase`, as its users see it; what is left behind is `gateway/test_content.py`'s."""

import json
from pathlib import Path

import pytest
from support.evidence import evidence, install, lines

from jupiter_addons.cli.options import configuration
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.sqlite import hold_lock
from jupiter_addons.storage.subject_keys import SubjectKeys, load_master


@pytest.fixture
def config(tmp_path):
    path = install(tmp_path, more="evidence: {content: encrypted, backups_kept: 30d}\n")
    settings = configuration(Path(path))
    keys = SubjectKeys(settings.subject_keys_path, load_master(settings.content_key_path, create=True))
    user = pseudonym(signing_keys.pseudonym_key(settings.signing_dir), "alice")
    keys.key_of(Subject("lab", user), 1)
    keys.close()
    return path


def test_a_receipt_says_what_was_destroyed_where_it_is_on_record_and_until_when_backups_last(config):
    text = evidence(config, "erase", "--subject", "alice", "--yes").stdout
    assert "1 key k_" in text
    assert "on record  leaf" in text
    assert "the last that may hold a key is gone on" in text
    assert all(len(line) <= 120 for line in text.splitlines())


def test_who_hesitates_destroys_nothing(config):
    done = evidence(config, "erase", "--subject", "alice")
    assert done.exit_code == 130
    assert json.loads(evidence(config, "erase", "--subject", "alice", "--yes", "--format", "json").stdout)["keys"]


def test_who_is_under_legal_hold_is_not_forgotten(config):
    path = Path(config)
    hold = "retention: {legal_hold: [{reason: case 7, team: lab}]}"
    path.write_text(path.read_text().replace("{content: encrypted, ", f"{{content: encrypted, {hold}, "))
    done = evidence(config, "erase", "--subject", "alice", "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "`alice` is under legal hold: case 7" in done.stderr
    assert evidence(config, "erase", "--subject", "bob", "--yes").exit_code == 0


def test_a_user_of_whom_nothing_is_kept_gets_a_receipt_of_that(config):
    receipt = json.loads(evidence(config, "erase", "--subject", "nobody", "--yes", "--format", "json").stdout)
    assert receipt["keys"] == []
    assert "there was no key" in evidence(config, "erase", "--subject", "nobody", "--yes").stderr


def test_an_erasure_that_nobody_puts_on_record_is_no_success(config, monkeypatch):
    monkeypatch.setattr("jupiter_addons.cli.on_record.WAIT_S", 0.0)
    held = hold_lock(configuration(Path(config)).evidence_path)
    done = evidence(config, "erase", "--subject", "alice", "--yes")
    held.close()
    assert done.exit_code == 3
    assert "the keys are destroyed, and that is not on record yet" in done.stderr
    assert len(lines(evidence(config, "query", "--format", "json"))) == 4
    receipt = json.loads(evidence(config, "erase", "--subject", "bob", "--yes", "--format", "json").stdout)
    verified = json.loads(evidence(config, "verify", "--format", "json").stdout)
    assert verified["kinds"]["erase"] == 2, "the one before is recorded with the next"
    assert receipt["idx"] > 0
