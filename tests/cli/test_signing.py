"""`jupiter signing`."""

import json

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.signing import from_seed

CONFIG = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"


@pytest.fixture
def signing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jupiter.yaml").write_text(CONFIG)
    return lambda *arguments: CliRunner().invoke(cli, ["signing", *arguments])


def listed(signing) -> dict[str, object]:
    return json.loads(signing("list", "--format", "json").stdout)


def test_keys_are_made_once_with_the_root_where_it_is_wanted(signing, tmp_path):
    made = signing("init", "--root", str(tmp_path / "usb.key"))
    assert made.exit_code == 0
    assert "take it off this machine" in made.stderr
    assert (tmp_path / "usb.key").exists()
    assert not (tmp_path / "state/signing/root.key").exists()
    again = signing("init")
    assert (again.exit_code, "there are keys in" in again.output) == (3, True)


def test_a_rotation_needs_the_root_and_keeps_the_old_keys_listed(signing, tmp_path):
    signing("init", "--root", str(tmp_path / "usb.key"))
    before = listed(signing)
    refused = signing("rotate", "record")
    assert (refused.exit_code, "only the root can vouch" in refused.output) == (3, True)
    done = signing("rotate", "record", "--root", str(tmp_path / "usb.key"))
    assert (done.exit_code, "the next start" in done.stderr) == (0, True)
    after = listed(signing)
    assert (before["serial"], after["serial"], after["root"]) == (1, 2, before["root"])
    assert [(key["use"], key["state"]) for key in after["keys"]] == [
        ("record", "retired"),
        ("log", "active"),
        ("record", "active"),
    ]
    signing("rotate", "--revoke", "--root", str(tmp_path / "usb.key"))
    assert [key["state"] for key in listed(signing)["keys"]] == ["retired", "revoked", "revoked", "active", "active"]


def test_who_is_witnessed_is_told_to_give_witnesses_the_new_key(signing, tmp_path):
    signing("init")
    assert "witness" not in signing("rotate").stderr
    key = Cosigner(from_seed("w.example/w1", b"\x09" * 32).public)
    witnessed = f"evidence: {{witnesses: [{{key: {key}, url: 'http://127.0.0.1:1'}}]}}\n"
    (tmp_path / "jupiter.yaml").write_text(CONFIG + witnessed)
    assert "`jupiter evidence witness logs`" in signing("rotate").stderr
    assert "witness" not in signing("rotate", "record").stderr


def test_the_table_fits_and_shows_no_secret(signing, tmp_path):
    signing("init")
    shown = signing("list").stdout
    assert max(map(len, shown.splitlines())) <= 120
    assert [line.split()[0] for line in shown.splitlines()] == ["USE", "record", "log", "root"]


def test_without_keys_there_is_nothing_to_list(signing):
    done = signing("list")
    assert (done.exit_code, "there is no" in done.output) == (3, True)
