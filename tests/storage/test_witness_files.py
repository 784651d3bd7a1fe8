"""The files of a witness: a key that nobody else can read, and the logs it knows."""

import stat

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage import witness_files


def test_a_key_is_made_once_and_found_again(tmp_path):
    key = witness_files.create_key(tmp_path / "w", "witness.example/w1")
    assert stat.S_IMODE((tmp_path / "w/witness.key").stat().st_mode) == 0o600
    assert witness_files.load_key(tmp_path / "w") == key
    assert witness_files.load_cosigner(tmp_path / "w") == Cosigner(key.public)
    with pytest.raises(StoreError, match="already"):
        witness_files.create_key(tmp_path / "w", "another")


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb"])
def test_a_name_that_no_signature_could_have_makes_no_key(tmp_path, name):
    with pytest.raises(ValueError):
        witness_files.create_key(tmp_path / "w", name)
    assert not (tmp_path / "w").exists()


def test_halves_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(StoreError, match="evidence witness keys"):
        witness_files.load_key(tmp_path)
    witness_files.create_key(tmp_path, "w")
    other = Cosigner(from_seed("w", b"\x01" * 32).public)
    (tmp_path / "witness.pub").write_text(f"{other}\n")
    with pytest.raises(StoreError, match="private half"):
        witness_files.load_key(tmp_path)


def test_the_list_of_logs_is_read_or_refused(tmp_path):
    key = from_seed("jupiter/1", b"\x01" * 32).public
    (tmp_path / "logs").write_text(f"log {key}\n")
    assert witness_files.load_logs(tmp_path / "logs") == {"jupiter/1": [key]}
    (tmp_path / "logs").write_text("nonsense")
    for path in (tmp_path / "logs", tmp_path / "none"):
        with pytest.raises(StoreError, match="cannot read the list of logs"):
            witness_files.load_logs(path)
