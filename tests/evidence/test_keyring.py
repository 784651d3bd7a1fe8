"""A wrapped key opens for its subject under its master, and for nothing else."""

import pytest

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.keyring import (
    WRAPPED_BYTES,
    Subject,
    derive,
    new_key,
    new_subject_key,
    seal,
    unseal,
    unwrap_subject_key,
    wrap_subject_key,
)

ALICE = Subject("lab", "hmac:alice")


def test_a_subject_key_is_had_back_from_its_wrapped_form():
    master, key = new_key(), new_subject_key()
    wrapped = wrap_subject_key(master, key, ALICE)
    assert len(wrapped) == WRAPPED_BYTES
    assert key.secret not in wrapped
    assert unwrap_subject_key(master, key.id, wrapped, ALICE) == key


@pytest.mark.parametrize(
    ("key_id", "subject"),
    [(None, Subject("lab", "hmac:bob")), (None, Subject("ops", "hmac:alice")), ("k_0", ALICE)],
    ids=["another user", "another team", "another id"],
)
def test_a_wrapped_key_cannot_stand_for_another(key_id, subject):
    master, key = new_key(), new_subject_key()
    wrapped = wrap_subject_key(master, key, ALICE)
    with pytest.raises(VerificationError):
        unwrap_subject_key(master, key_id or key.id, wrapped, subject)
    with pytest.raises(VerificationError):
        unwrap_subject_key(new_key(), key.id, wrapped, ALICE)


def test_no_changed_byte_and_no_truncation_opens():
    key = new_key()
    sealed = seal(key, b"words", b"bound")
    assert unseal(key, sealed, b"bound") == b"words"
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 1
        for wrong in (bytes(changed), sealed[:at]):
            with pytest.raises(VerificationError):
                unseal(key, wrong, b"bound")


def test_keys_for_two_purposes_differ():
    key = new_key()
    assert derive(key, b"one") == derive(key, b"one")
    assert len({key, derive(key, b"one"), derive(key, b"two"), derive(new_key(), b"one")}) == 4


def test_a_key_is_not_shown_when_it_is_printed():
    key = new_subject_key()
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)
