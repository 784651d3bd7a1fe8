"""What a command has done is put on record from here if no gateway runs, by the pseudonym of whoever ran it."""

from pathlib import Path

import pytest
from support.evidence import install

from jupiter_addons.cli import on_record
from jupiter_addons.cli.options import configuration
from jupiter_addons.evidence.record import control
from jupiter_addons.storage.evidence_query import newest
from jupiter_addons.storage.sqlite import hold_lock


@pytest.fixture
def settings(tmp_path):
    return configuration(Path(install(tmp_path)))


def count(settings) -> int:
    return len(list(newest(settings.evidence_path, "export")))


def test_a_leaf_is_on_record_when_the_command_ends(settings):
    on_record.put(settings, control("export", count=1), "done")
    assert count(settings) == 1


def test_one_that_cannot_be_put_there_in_time_waits_and_that_is_said(settings, monkeypatch, capsys):
    monkeypatch.setattr(on_record, "WAIT_S", 0.0)
    held = hold_lock(settings.evidence_path)
    on_record.put(settings, control("export", count=1), "it is done")
    held.close()
    assert "it is done, and that is not on record yet" in capsys.readouterr().err
    assert count(settings) == 0
    on_record.put(settings, control("export", count=2), "it is done")
    assert count(settings) == 2


def test_an_operator_is_a_pseudonym_that_is_nobody_elses(settings, monkeypatch):
    names = {}
    for name in ("root", "alice"):
        monkeypatch.setattr("getpass.getuser", lambda name=name: name)
        names[name] = on_record.operator(settings)
    assert len(set(names.values())) == 2 and all(one.startswith("hmac:") for one in names.values())

    def nobody() -> str:
        raise OSError("no name")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert on_record.operator(settings).startswith("hmac:")
