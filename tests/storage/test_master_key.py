"""Another master key takes the place of the one there is: whole or not at all, and whoever reads meanwhile can read."""

import sqlite3

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.storage import key_files, master_key
from jupiter_addons.storage.master_key import finish, open_keys, rotate, rotating
from jupiter_addons.storage.subject_keys import SubjectKeys, known_by, load_master, rotated

ALICE, BOB, CAROL = Subject("lab", "hmac:alice"), Subject("", "hmac:bob"), Subject("", "hmac:carol")


@pytest.fixture
def place(tmp_path):
    """The database and the file of the master key, with two subjects."""
    path, key_path = tmp_path / "subject_keys.db", tmp_path / "signing/content.key"
    keys = open_keys(path, key_path)
    keys.key_of(ALICE, 1)
    keys.key_of(BOB, 1)
    keys.close()
    return path, key_path


def secrets(place) -> list[bytes]:
    keys = open_keys(*place)
    try:
        return [keys.key_of(subject, 1).secret for subject in (ALICE, BOB)]
    finally:
        keys.close()


def wrapped(place) -> list[bytes]:
    db = sqlite3.connect(place[0])
    found = [row[0] for row in db.execute("SELECT wrapped FROM subject_key")]
    db.close()
    return found


def everywhere(place) -> bytes:
    return b"".join(path.read_bytes() for path in place[0].parent.rglob("*") if path.is_file())


def test_all_keys_stay_and_nothing_that_the_old_one_opens_is_left(place):
    before, old, old_wrapped = secrets(place), load_master(place[1]), wrapped(place)
    assert all(one in everywhere(place) for one in old_wrapped), "the search must be able to find them"
    with rotating(*place) as keys:
        rotation = rotate(keys, place[1], 7, "hmac:op")
    new = load_master(place[1])
    assert (secrets(place), new != old) == (before, True)
    assert (rotation.old, rotation.new, rotation.keys) == (known_by(old), known_by(new), 2)
    there = everywhere(place)
    assert not any(one[:32] in there for one in old_wrapped)
    assert key_files.seed_text(old).strip() not in there
    assert not place[1].with_name("content.key.next").exists()
    assert place[1].stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="another content key"):
        SubjectKeys(place[0], old)


def test_who_has_them_open_goes_on_with_the_new_one(place):
    running = open_keys(*place)
    alice = running.key_of(ALICE, 1)
    with rotating(*place) as keys:
        rotate(keys, place[1], 7, "")
    assert running.refresh()
    assert running.cached(ALICE) is None
    assert running.by_id(alice.id) == running.key_of(ALICE, 8) == alice
    carol = running.key_of(CAROL, 8)
    running.close()
    keys = open_keys(*place)
    assert keys.by_id(carol.id) == carol, "wrapped by the new one"
    keys.close()


class CutShortError(Exception):
    pass


@pytest.mark.parametrize("after", ["the next key is written", "all keys are wrapped", "the old key is overwritten"])
def test_one_that_is_cut_short_loses_nothing_and_is_finished_by_the_next(after, place, monkeypatch):
    before, old = secrets(place), load_master(place[1])
    running = open_keys(*place)

    def cut(*_: object, **__: object) -> None:
        raise CutShortError

    really = master_key._overwrite
    with monkeypatch.context() as patched, rotating(*place) as keys:
        if after == "the next key is written":
            patched.setattr(keys, "rewrap", cut)
        elif after == "all keys are wrapped":
            patched.setattr(master_key, "_overwrite", cut)
        else:
            patched.setattr(master_key, "_overwrite", lambda path: (really(path), cut()))
        with pytest.raises(CutShortError):
            rotate(keys, place[1], 7, "")
    assert place[1].with_name("content.key.next").exists()
    assert secrets(place) == before, "a start in between can read"
    assert running.key_of(CAROL, 1) == running.by_id(running.key_of(CAROL, 1).id), "and so can who runs"
    running.close()
    with rotating(*place) as keys:
        finished = finish(keys, place[1])
        assert finished == (after != "the next key is written")
        if not finished:
            rotate(keys, place[1], 8, "")
        assert len(keys.unrecorded_rotations()) == 1
    assert (secrets(place), load_master(place[1]) != old) == (before, True)
    assert key_files.seed_text(old).strip() not in everywhere(place)
    assert not place[1].with_name("content.key.next").exists()


def test_a_rotation_that_is_cut_short_while_it_is_forgotten_can_still_be_forgotten(place):
    before, next_path = secrets(place), place[1].with_name("content.key.next")
    key_files.write_once(next_path, key_files.seed_text(b"n" * 32))
    master_key._overwrite(next_path)
    with rotating(*place) as keys:
        assert not finish(keys, place[1])
        assert not next_path.exists()
        rotate(keys, place[1], 7, "")
    assert secrets(place) == before


def test_a_next_key_that_cannot_be_read_is_not_forgotten_while_the_other_opens_nothing(place):
    """It may be the one that does."""
    next_path = place[1].with_name("content.key.next")
    with rotating(*place) as keys:
        key_files.write_once(next_path, b"no key")
        master_key._overwrite(place[1])
        with pytest.raises(StoreError, match="holds no key"):
            finish(keys, place[1])
    assert next_path.read_bytes() == b"no key"


def test_two_do_not_rotate_at_once(place):
    with rotating(*place), pytest.raises(StoreError, match="another process is writing"), rotating(*place):
        pass


def test_a_key_that_is_not_what_was_stored_stops_a_rotation_before_anything_changes(place):
    db = sqlite3.connect(place[0])
    db.execute("UPDATE subject_key SET wrapped = zeroblob(72) WHERE user = 'hmac:bob'")
    db.commit()
    db.close()
    old = load_master(place[1])
    with rotating(*place) as keys, pytest.raises(StoreError, match="not what was stored"):
        rotate(keys, place[1], 7, "")
    assert load_master(place[1]) == old
    keys = open_keys(*place)
    assert keys.key_of(ALICE, 1)
    assert keys.unrecorded_rotations() == []
    keys.close()


def test_without_either_file_no_content_can_be_read(place):
    place[1].unlink()
    with pytest.raises(StoreError, match="no content can be read"):
        open_keys(*place)


def test_a_rotation_waits_to_be_recorded_until_it_is(place):
    with rotating(*place) as keys:
        rotation = rotate(keys, place[1], 7, "hmac:op")
        assert keys.unrecorded_rotations() == [rotation]
        keys.rotation_recorded(rotation.id)
        assert keys.unrecorded_rotations() == []
    detail = rotated(rotation)["detail"]
    assert (detail["use"], detail["old"], detail["new"], detail["keys"], detail["by"]) == (
        "content", rotation.old, rotation.new, 2, "hmac:op",
    )  # fmt: skip
