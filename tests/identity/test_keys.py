"""Keys: their shape, what is kept of them, and when they work."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.identity.keys import KeyRecord, digest, id_of, matches, mint


def a_key(**options) -> tuple[str, KeyRecord]:
    return mint("alice", entropy=os.urandom, now_s=1000.9, **options)


def test_a_key_is_found_by_its_id_and_nothing_secret_is_kept():
    text, record = a_key(name="ci")
    assert id_of(text) == record.id
    assert (record.user, record.created_s, record.name) == ("alice", 1000, "ci")
    assert matches(record, text)
    secret = text.split("_", 2)[2]
    assert len(secret) == 43
    assert secret not in repr(record)
    assert record.digest == digest(text)


@given(st.integers(0, 60), st.characters())
def test_another_character_is_another_key(at, char):
    text, record = a_key()
    changed = text[:at] + char + text[at + 1 :]
    assert matches(record, changed) == (changed == text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jup__",
        "jup_abc_def",
        "sk-x",
        "jup_" + "a" * 12 + "_" + "A" * 42,
        "jup_" + "A" * 12 + "_" + "A" * 43,
        "x" * 10_000,
    ],
)
def test_what_does_not_have_the_shape_has_no_id(text):
    assert id_of(text) is None
    assert id_of(text + "\n") is None


def test_a_key_ends_when_it_expires_or_is_revoked():
    _, record = a_key(expires_s=2000)
    assert record.is_active(1999.9)
    assert not record.is_active(2000)
    assert not KeyRecord(record.id, record.digest, "alice", 1, revoked_s=5).is_active(6)


def test_ids_are_made_of_evenly_likely_characters():
    counts = {}
    for _ in range(500):
        for char in a_key()[1].id:
            counts[char] = counts.get(char, 0) + 1
    assert len(counts) == 36
    assert max(counts.values()) < 3 * min(counts.values())
