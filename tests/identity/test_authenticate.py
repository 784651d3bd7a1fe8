"""From a key to a principal, without saying what was wrong."""

import os

import pytest

from jupiter_addons.errors import Refusal
from jupiter_addons.identity.authenticate import authenticate, still_valid
from jupiter_addons.identity.credentials import Presented
from jupiter_addons.identity.keys import KeyRecord, mint
from jupiter_addons.identity.principals import Principal, Profile

TEXT, RECORD = mint("alice", entropy=os.urandom, now_s=0, expires_s=100)
KEYS = {RECORD.id: RECORD}
DIRECTORY = {"alice": Profile("lab", ("dpo",), {"tier": "premium"})}


def test_a_good_key_is_its_owner_with_what_the_directory_says():
    found = authenticate(Presented(TEXT), KEYS, DIRECTORY, 1)
    assert found == Principal("alice", RECORD.id, "lab", ("dpo",), {"tier": "premium"})


def test_an_owner_the_directory_does_not_know_is_only_a_name():
    assert authenticate(Presented(TEXT), KEYS, {}, 1) == Principal("alice", RECORD.id)


@pytest.mark.parametrize(
    ("given", "keys", "now_s"),
    [
        (Presented("nonsense"), KEYS, 1),
        (Presented(TEXT), {}, 1),
        (Presented(TEXT[:-1] + ("A" if TEXT[-1] != "A" else "B")), KEYS, 1),
        (Presented(TEXT), KEYS, 100),
        (Presented(TEXT), {RECORD.id: KeyRecord(RECORD.id, RECORD.digest, "alice", 0, revoked_s=1)}, 2),
        (Presented(TEXT, "bob"), KEYS, 1),
        (Presented("' OR 1=1 --"), KEYS, 1),
        (Presented("jup_\x00"), KEYS, 1),
    ],
    ids=["shape", "unknown", "wrong", "expired", "revoked", "somebody-else", "sql", "nul"],
)
def test_every_bad_key_gets_the_same_answer(given, keys, now_s):
    outcome = authenticate(given, keys, DIRECTORY, now_s)
    assert outcome == Refusal("invalid_key", "the API key is not valid")


def test_the_owners_own_name_may_be_claimed():
    assert isinstance(authenticate(Presented(TEXT, "alice"), KEYS, DIRECTORY, 1), Principal)


def test_a_key_that_was_good_once_is_asked_about_again():
    assert still_valid(RECORD.id, KEYS, 1) is None
    assert still_valid(RECORD.id, KEYS, 100) is not None
    assert still_valid(RECORD.id, {}, 1) is not None
    revoked = KeyRecord(RECORD.id, RECORD.digest, "alice", 0, revoked_s=1)
    assert still_valid(RECORD.id, {RECORD.id: revoked}, 2) is not None
