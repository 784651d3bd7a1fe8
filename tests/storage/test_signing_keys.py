"""The signing directory: keys made once, private, and never made anew for a log that exists."""

import base64
import stat

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.signing_keys import load_or_create, pseudonym_key, public_keys, rotate

SEED = b"\x05" * 32


def names(directory) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_keys_are_made_once_and_private(tmp_path):
    directory = tmp_path / "signing"
    first = load_or_create(directory)
    assert load_or_create(directory) == first
    record, log = first.record.public, first.log.public
    assert (first.manifest.active("record"), first.manifest.active("log")) == (record, log)
    assert len({record.raw, log.raw, signing_keys.load_root(directory).raw}) == 3
    assert public_keys(directory) == {record.kid: record}
    assert pseudonym_key(directory) == first.pseudonym
    files = [f"evidence-{record.id.hex()}", f"log-{log.id.hex()}", "root"]
    wanted = [*(f"{file}.{end}" for file in files for end in ("key", "pub")), "keys.note", "pseudonym.key"]
    assert names(directory) == sorted(wanted)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert {modes[name] for name in modes if name.endswith(".key")} == {0o600}


def test_a_log_that_exists_never_gets_new_keys(tmp_path):
    log = tmp_path / "evidence.db"
    load_or_create(tmp_path / "signing", [log])
    log.touch()
    load_or_create(tmp_path / "signing", [log])
    for path in (tmp_path / "signing").iterdir():
        path.unlink()
    with pytest.raises(StoreError, match="has been signed by keys that are not in"):
        load_or_create(tmp_path / "signing", [log])
    assert names(tmp_path / "signing") == []


@pytest.mark.parametrize("gone", ["evidence-*.key", "log-*.key", "pseudonym.key", "keys.note", "root.pub"])
def test_what_is_missing_refuses_to_start(tmp_path, gone):
    log = tmp_path / "evidence.db"
    load_or_create(tmp_path / "signing", [log])
    log.touch()
    [path] = (tmp_path / "signing").glob(gone)
    path.unlink()
    before = names(tmp_path / "signing")
    with pytest.raises(StoreError):
        load_or_create(tmp_path / "signing", [log])
    assert names(tmp_path / "signing") == before


def test_the_private_root_may_be_kept_elsewhere_but_is_needed_to_rotate(tmp_path):
    signing_keys.create(tmp_path / "signing", tmp_path / "root.key", 1)
    first = load_or_create(tmp_path / "signing")
    with pytest.raises(StoreError, match="only the root can vouch"):
        rotate(tmp_path / "signing", tmp_path / "signing/root.key", ["record"], 2)
    rotate(tmp_path / "signing", tmp_path / "root.key", ["record"], 2)
    second = load_or_create(tmp_path / "signing")
    assert second.record.public != first.record.public
    assert second.log == first.log
    assert list(public_keys(tmp_path / "signing")) == [first.record.public.kid, second.record.public.kid]
    assert not list((tmp_path / "signing").glob(f"*{first.record.public.id.hex()}.key"))
    assert list((tmp_path / "signing").glob(f"*{first.record.public.id.hex()}.pub"))
    with pytest.raises(StoreError, match="keys in .* already"):
        signing_keys.create(tmp_path / "signing", tmp_path / "other.key", 1)


def test_another_root_does_not_vouch(tmp_path):
    load_or_create(tmp_path / "a")
    load_or_create(tmp_path / "b")
    with pytest.raises(StoreError, match="is not the root of"):
        rotate(tmp_path / "a", tmp_path / "b/root.key", ["log"], 2)
    (tmp_path / "a/keys.note").write_bytes((tmp_path / "b/keys.note").read_bytes())
    with pytest.raises(StoreError, match="cannot use .*keys.note"):
        load_or_create(tmp_path / "a")


def test_a_key_that_is_lost_can_be_revoked_and_no_other_way_replaced(tmp_path):
    first = load_or_create(tmp_path)
    next(tmp_path.glob("evidence-*.key")).unlink()
    with pytest.raises(StoreError, match="is gone"):
        rotate(tmp_path, tmp_path / "root.key", ["record"], 2)
    rotate(tmp_path, tmp_path / "root.key", ["record"], 2, revoke=True)
    assert load_or_create(tmp_path).manifest.revoked() == {first.record.public.kid: 2}


def test_a_private_half_of_another_key_is_refused(tmp_path):
    load_or_create(tmp_path / "a")
    load_or_create(tmp_path / "b")
    [mine], [other] = (list((tmp_path / one).glob("log-*.key")) for one in "ab")
    other.replace(mine)
    with pytest.raises(StoreError, match="is not the private half"):
        load_or_create(tmp_path / "a")


@pytest.mark.parametrize("name", ["evidence-*.key", "log-*.key", "pseudonym.key"])
def test_a_key_that_others_can_read_is_refused(tmp_path, name):
    load_or_create(tmp_path)
    next(tmp_path.glob(name)).chmod(0o644)
    with pytest.raises(StoreError, match="can be read by others"):
        load_or_create(tmp_path)


def test_the_seed_of_the_first_version_goes_on_as_the_key_of_records(tmp_path, caplog):
    log = tmp_path / "evidence.db"
    log.touch()
    for name, secret in (("evidence.key", SEED), ("pseudonym.key", b"\x06" * 32)):
        (tmp_path / name).touch(0o600)
        (tmp_path / name).write_bytes(base64.b64encode(secret) + b"\n")
    old = from_seed("evidence", SEED)
    (tmp_path / "evidence.pub").write_text(f"{old.public}\n")
    former = from_seed("evidence", b"\x09" * 32).public
    (tmp_path / "evidence-2025.pub").write_text(f"{former}\n")
    keys = load_or_create(tmp_path, [log])
    assert (keys.record, keys.pseudonym) == (old, b"\x06" * 32)
    assert "is kept as PKCS#8 from now on" in caplog.text
    assert "evidence.key" not in names(tmp_path)
    assert "evidence.pub" not in names(tmp_path)
    assert public_keys(tmp_path) == {former.kid: former, old.public.kid: old.public}
    assert load_or_create(tmp_path, [log]) == keys


def test_a_start_that_was_cut_short_is_gone_on_with(tmp_path, monkeypatch):
    steps = []

    def stop(*_: object, **__: object) -> None:
        steps.append(1)
        raise OSError("cut short")

    with monkeypatch.context() as patched:
        patched.setattr(signing_keys, "_keep", stop)
        with pytest.raises(StoreError, match="cut short"):
            load_or_create(tmp_path)
    root = signing_keys.load_root(tmp_path)
    assert load_or_create(tmp_path).manifest
    assert signing_keys.load_root(tmp_path) == root
