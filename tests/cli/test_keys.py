"""`jupiter keys`."""

import json

import pytest
from click.testing import CliRunner

from jupiter_addons.cli.main import cli
from jupiter_addons.identity.keys import id_of

CONFIG = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"


@pytest.fixture
def keys(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jupiter.yaml").write_text(CONFIG)
    return lambda *arguments: CliRunner().invoke(cli, ["keys", *arguments])


def test_a_new_key_stands_alone_on_standard_output(keys):
    result = keys("create", "--user", "alice")
    assert result.exit_code == 0
    assert id_of(result.stdout.rstrip("\n")) is not None
    assert result.stdout.count("\n") == 1
    assert result.stdout.strip() not in result.stderr
    assert "alice" in result.stderr


def test_a_key_is_listed_without_its_secret(keys, tmp_path):
    text = keys("create", "--user", "alice", "--name", "laptop", "--expires", "90d").stdout.strip()
    (row,) = json.loads(keys("list", "--format", "json").stdout)
    assert row["id"] == id_of(text)
    assert (row["user"], row["name"], row["state"]) == ("alice", "laptop", "active")
    assert row["expires_s"] - row["created_s"] == 90 * 86400
    secret = text.rpartition("_")[2]
    assert secret not in keys("list").output
    assert secret.encode() not in b"".join(
        path.read_bytes() for path in (tmp_path / "state").iterdir() if path.is_file()
    )


def test_a_revoked_key_is_listed_as_revoked_and_cannot_be_revoked_again(keys):
    key_id = id_of(keys("create", "--user", "alice").stdout.strip())
    assert keys("revoke", key_id).exit_code == 0
    assert "revoked" in keys("list").stdout
    again = keys("revoke", key_id)
    assert again.exit_code == 1
    assert again.stderr == f"jupiter: there is no key `{key_id}` that could be revoked\n"


def test_a_key_can_be_born_expired(keys):
    keys("create", "--user", "alice", "--expires", "0s")
    assert json.loads(keys("list", "--format", "json").stdout)[0]["state"] == "expired"


@pytest.mark.parametrize(
    "arguments",
    [
        ["create"],
        ["create", "--user", ""],
        ["create", "--user", "a\nb"],
        ["create", "--user", "x" * 257],
        ["create", "--user", "a", "--expires", "soon"],
        ["revoke"],
    ],
    ids=str,
)
def test_wrong_usage_is_exit_code_2_and_makes_no_key(arguments, keys):
    assert keys(*arguments).exit_code == 2
    assert json.loads(keys("list", "--format", "json").stdout) == []


def test_a_store_that_cannot_be_used_is_exit_code_3(keys, tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state/keys.db").write_bytes(b"this is not a database" * 100)
    result = keys("list")
    assert result.exit_code == 3
    assert "keys.db" in result.stderr
