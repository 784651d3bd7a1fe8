"""RFC 3161 timestamps: what a real authority has signed is believed, and of anything else it is told by name what is wrong."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.authority import TimestampAuthority

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.timestamp import Authority, request

NOTE = b"jupiter/1\n5\nroot\n\n\xe2\x80\x94 jupiter/1 signature\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("authority")


@pytest.fixture(scope="module")
def tsa(place):
    return TimestampAuthority(place / "tsa")


@pytest.fixture(scope="module")
def asked():
    return request(NOTE)


@pytest.fixture(scope="module")
def response(tsa, asked):
    return tsa.answer(asked.der)


def trusting(tsa: TimestampAuthority) -> Authority:
    return Authority(tsa.root.read_bytes())


def refused(authority: Authority, response: bytes, stamped: bytes = NOTE, nonce: int | None = None) -> str:
    with pytest.raises(VerificationError) as found:
        authority.opened(response, stamped, nonce)
    return str(found.value).partition(":")[0]


def test_what_an_authority_has_signed_says_when_and_by_whom(tsa, asked, response):
    before_us = time.time_ns() // 1000
    found = trusting(tsa).opened(response, NOTE, asked.nonce)
    assert abs(found.time_us - before_us) < 120_000_000
    assert (found.authority, found.serial > 0) == ("CN=tsa,O=Tests", True)
    assert trusting(tsa).opened(response, NOTE) == found, "the nonce is forgotten once it has come"


def test_no_question_is_asked_twice():
    first, second = request(NOTE), request(NOTE)
    assert first.nonce != second.nonce
    assert first.nonce.bit_length() > 32


def test_the_answer_to_another_question_is_refused_by_its_nonce(tsa, response):
    assert refused(trusting(tsa), response, nonce=request(NOTE).nonce) == "nonce"


def test_a_timestamp_of_other_bytes_is_refused_by_its_imprint(tsa, asked, response):
    assert refused(trusting(tsa), response, NOTE + b" ", asked.nonce) == "imprint"


def test_an_authority_that_nobody_has_named_is_refused(place, response):
    assert refused(trusting(TimestampAuthority(place / "other")), response) == "authority"


@pytest.mark.parametrize(
    "usage", ["extendedKeyUsage=critical,timeStamping,serverAuth\n", "extendedKeyUsage=timeStamping\n"]
)
def test_openssl_itself_does_not_stamp_with_a_certificate_that_is_not_for_that_alone(usage, place, asked):
    with pytest.raises(AssertionError, match="signer certificate"):
        TimestampAuthority(place / f"usage-{len(usage)}", usage=usage).answer(asked.der)


def test_a_rejection_is_told_with_the_words_of_the_authority(place, asked):
    tsa = TimestampAuthority(place / "rejecting", digests="sha512")
    with pytest.raises(VerificationError, match="rejected: rejection .*digest"):
        trusting(tsa).opened(tsa.answer(asked.der), NOTE, asked.nonce)


def test_a_timestamp_that_was_granted_with_modifications_is_refused(tsa, response):
    at = response.index(b"\x30\x03\x02\x01\x00")
    assert refused(trusting(tsa), response[: at + 4] + b"\x01" + response[at + 5 :]) == "modified"


@pytest.mark.parametrize("status", [3, 4, 5, 6, 77])
def test_any_other_status_is_no_timestamp(status, tsa, response):
    at = response.index(b"\x30\x03\x02\x01\x00")
    assert refused(trusting(tsa), response[: at + 4] + bytes([status]) + response[at + 5 :]) in ("rejected", "response")


def test_a_granted_answer_without_a_token_is_refused(tsa):
    assert refused(trusting(tsa), bytes.fromhex("30053003020100")) == "response"


def test_those_between_may_be_in_the_answer_or_in_what_is_trusted(place, asked):
    tsa = TimestampAuthority(place / "short", chain=False)
    response = tsa.answer(asked.der)
    assert refused(trusting(tsa), response) == "authority"
    assert Authority((tsa.directory / "chain.pem").read_bytes()).opened(response, NOTE, asked.nonce)


def test_no_flipped_bit_makes_another_timestamp(tsa, asked, response):
    """Some bits nobody has signed, the copy of the root above all: what was stamped when and by whom stays the same."""
    authority, good = trusting(tsa), trusting(tsa).opened(response, NOTE, asked.nonce)
    accepted = 0
    for bit in range(0, len(response) * 8, 3):
        flipped = bytearray(response)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert authority.opened(bytes(flipped), NOTE, asked.nonce) == good
            accepted += 1
        except VerificationError:
            pass
    assert accepted < len(response) * 8 / 3 / 5


@given(st.binary(max_size=200))
def test_what_is_no_answer_is_refused_whatever_it_is(tsa, data):
    assert refused(trusting(tsa), data) == "response"


@given(st.integers(0, 4000))
def test_an_answer_that_is_cut_is_refused(tsa, response, length):
    assert refused(trusting(tsa), response[: length % len(response)]) == "response"


def test_certificates_that_are_none_are_no_authority():
    with pytest.raises(ValueError):
        Authority(b"nothing")
