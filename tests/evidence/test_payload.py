"""A sealed payload opens for its record under its subject's key, and as nothing else."""

import hashlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence import payload
from jupiter_addons.evidence.keyring import SubjectKey, derive, new_key, new_subject_key, seal
from jupiter_addons.evidence.payload import open_body, salt_of, salted, seal_body

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


VECTORS = [
    (
        "00" * 32,
        "c1",
        b"",
        "bf34a425f9f2ed8a5def1cd0c96effd42da00667f3cca9e91c3aa4e46b665324",
        "079c9eb3d23e36f0b4d2ff48e9ce473589271b18730ff66ed20031bcbf72f008",
    ),
    (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "0197f2c0-7d4e-7abc-8def-0123456789ab",
        b"yes",
        "f90398dd18554ce94cec88fbca329fb337b62acfe7f4f3e8460c816aa5d0a496",
        "87a24c03efa12e0824493d1200e43f6ff4e6fd1199e888a6aad86ce3583e6ca8",
    ),
    (
        "ff" * 32,
        "call",
        b"hello" * 1000,
        "c903308aed6014c0c6c184091e2593891e2ffb13c221bbed5784792133dd9701",
        "108f0dab750b6e8f575c7f49c1c9d8f4e92d520e91664e1ab6afee3a9856d8ba",
    ),
]
"""Secret of the subject key, record id, body -> salt, digest.  Made with `openssl mac`: BLAKE2BMAC, then HMAC twice."""


@pytest.mark.parametrize(("secret", "call_id", "body", "salt", "digest"), VECTORS)
def test_a_salted_digest_is_what_it_is_documented_to_be(secret, call_id, body, salt, digest):
    found = salt_of(SubjectKey("k_1", bytes.fromhex(secret)), call_id)
    assert (found.hex(), salted(hashlib.sha256(body).hexdigest(), found)) == (salt, digest)


def test_a_guess_is_no_good_without_the_salt_and_the_salt_of_one_call_says_nothing_of_another():
    plain = hashlib.sha256(b"yes").hexdigest()
    mine, other, key = salt_of(KEY, "c1"), salt_of(KEY, "c2"), new_subject_key()
    assert len({plain, salted(plain, mine), salted(plain, other), salted(plain, salt_of(key, "c1"))}) == 4
    assert salted(plain, mine) == salted(plain, salt_of(KEY, "c1"))
