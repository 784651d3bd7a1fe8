"""A sealed payload opens for its record under its subject's key, and as nothing else."""

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import payload
from jupiter_addons.evidence.keyring import SubjectKey, derive, new_key, new_subject_key, seal
from jupiter_addons.evidence.payload import open_body, seal_body

KEY = new_subject_key()
PLACE = {"origin": "jupiter/1", "call_id": "c1", "role": "request"}


@given(st.binary(max_size=2000))
def test_every_body_is_had_back_exactly(body):
    sealed, commit = seal_body(body, KEY, **PLACE)
    assert open_body(sealed.ciphertext, commit, KEY, **PLACE)[0] == body


def test_nothing_of_a_body_is_in_what_is_stored_or_committed_to():
    sealed, commit = seal_body(b"the canary sings" * 5, KEY, **PLACE)
    assert b"canary" not in sealed.ciphertext
    assert KEY.secret not in sealed.ciphertext
    assert sealed.key_id == KEY.id
    _, again = seal_body(b"the canary sings" * 5, KEY, **PLACE)
    assert again != commit, "a commitment that is the same twice can be looked up"


@pytest.mark.parametrize("name", ["origin", "call_id", "role"])
def test_a_payload_cannot_be_shown_as_that_of_another_record(name):
    sealed, commit = seal_body(b"body", KEY, **PLACE)
    with pytest.raises(VerificationError):
        open_body(sealed.ciphertext, commit, KEY, **{**PLACE, name: "other"})


def test_no_other_key_opens_it():
    sealed, commit = seal_body(b"body", KEY, **PLACE)
    with pytest.raises(VerificationError):
        open_body(sealed.ciphertext, commit, SubjectKey(KEY.id, new_key()), **PLACE)


def test_no_changed_byte_and_no_truncation_opens():
    sealed, commit = seal_body(b"body", KEY, **PLACE)
    for at in range(len(sealed.ciphertext)):
        changed = bytearray(sealed.ciphertext)
        changed[at] ^= 1
        for wrong in (bytes(changed), sealed.ciphertext[:at]):
            with pytest.raises(VerificationError):
                open_body(wrong, commit, KEY, **PLACE)


def test_a_text_that_was_not_committed_to_is_not_shown():
    (sealed, _), (_, other) = seal_body(b"body", KEY, **PLACE), seal_body(b"body", KEY, **PLACE)
    with pytest.raises(VerificationError, match="committed"):
        open_body(sealed.ciphertext, other, KEY, **PLACE)


def test_the_record_key_opens_its_payload_and_no_other():
    sealed, commit = seal_body(b"body", KEY, **PLACE)
    _, record_key = open_body(sealed.ciphertext, commit, KEY, **PLACE)
    assert record_key not in sealed.ciphertext
    again, commit = seal_body(b"body", KEY, **PLACE)
    _, other = open_body(again.ciphertext, commit, KEY, **PLACE)
    assert record_key != other


def forged(compressed):
    """Return a payload by somebody who has the keys and seals what this program would not."""
    record_key, bound = new_key(), b"ev1|jupiter/1|c1|request"
    wrapped = seal(KEY.secret, record_key, b"key|" + bound)
    return b"\x01" + wrapped + seal(derive(record_key, b"ev1 seal"), compressed, bound)


@pytest.mark.parametrize(
    ("compressed", "said"),
    [
        (b"not zstd", "decompressed"),
        (zstandard.ZstdCompressor().compress(bytes(payload.MAX_BODY_BYTES + 1)), "longer than any"),
    ],
    ids=["nonsense", "bomb"],
)
def test_what_does_not_decompress_within_bounds_is_said_so(compressed, said):
    with pytest.raises(VerificationError, match=said):
        open_body(forged(compressed), "0", KEY, **PLACE)
