"""Keys sign, and are printed in one way only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.signing import from_seed, new_seed, parse_public_key

# RFC 8032, section 7.1, test 2.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_signatures_are_those_of_rfc_8032():
    key = from_seed("evidence", SEED)
    assert key.public.raw.hex() == PUBLIC
    assert key.sign(b"\x72").hex() == SIGNATURE
    key.public.verify(b"\x72", bytes.fromhex(SIGNATURE))


@given(st.binary(max_size=64), st.integers(0, 511))
def test_a_changed_bit_is_noticed(message, bit):
    key = from_seed("evidence", SEED)
    signature = bytearray(key.sign(message))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(VerificationError):
        key.public.verify(message, bytes(signature))
    with pytest.raises(VerificationError):
        key.public.verify(message + b"x", key.sign(message))


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 65])
def test_what_is_no_signature_is_refused(signature):
    with pytest.raises(VerificationError):
        from_seed("evidence", SEED).public.verify(b"m", signature)


def test_a_public_key_is_read_back_from_its_one_printed_form():
    public = from_seed("evidence", new_seed()).public
    assert parse_public_key(f"{public}\n") == public
    text = str(public)
    for changed in (text.replace("+", "-"), text[:-1], text.replace("evidence", "other"), text + "A", ""):
        with pytest.raises(ValueError):
            parse_public_key(changed)


def test_a_secret_is_not_shown():
    key = from_seed("evidence", SEED)
    assert SEED.hex() not in repr(key)
    assert "_secret" not in repr(key)
