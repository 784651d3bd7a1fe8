"""Key files: made once, private, refused otherwise."""

import stat

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.signing_keys import load_or_create, pseudonym_key, public_keys


def test_keys_are_made_once_and_private(tmp_path):
    first, pseudonym = load_or_create(tmp_path / "signing")
    again, same = load_or_create(tmp_path / "signing")
    assert (first.public, pseudonym) == (again.public, same)
    assert public_keys(tmp_path / "signing") == {first.public.kid: first.public}
    assert pseudonym_key(tmp_path / "signing") == pseudonym
    for name in ("evidence.key", "pseudonym.key"):
        assert stat.S_IMODE((tmp_path / "signing" / name).stat().st_mode) == 0o600


def test_a_public_key_that_is_not_that_of_the_private_one_is_refused(tmp_path):
    first, _ = load_or_create(tmp_path)
    (tmp_path / "evidence.key").unlink()
    with pytest.raises(StoreError, match="is not the public key of"):
        load_or_create(tmp_path)
    (tmp_path / "evidence.pub").rename(tmp_path / "evidence-old.pub")
    second, _ = load_or_create(tmp_path)
    assert set(public_keys(tmp_path)) == {first.public.kid, second.public.kid}


def test_nothing_half_made_is_left_behind(tmp_path):
    load_or_create(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence.key", "evidence.pub", "pseudonym.key"]


@pytest.mark.parametrize("name", ["evidence.key", "pseudonym.key"])
def test_a_key_that_others_can_read_is_refused(tmp_path, name):
    load_or_create(tmp_path)
    (tmp_path / name).chmod(0o640)
    with pytest.raises(StoreError, match="can be read by others"):
        load_or_create(tmp_path)


def test_what_is_no_key_is_refused(tmp_path):
    load_or_create(tmp_path)
    (tmp_path / "evidence.key").write_text("c2hvcnQ=\n")
    with pytest.raises(StoreError, match="does not hold 32 bytes"):
        load_or_create(tmp_path)
    (tmp_path / "evidence.key").write_bytes(b"\xff not base64\n")
    with pytest.raises(StoreError, match="is not base64"):
        load_or_create(tmp_path)
    (tmp_path / "evidence.pub").write_text("nonsense")
    with pytest.raises(StoreError, match="cannot read the public keys"):
        public_keys(tmp_path)
    with pytest.raises(StoreError, match="there is no"):
        public_keys(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="there is no"):
        pseudonym_key(tmp_path / "nowhere")
