"""Checksums and ranges: a true number passes, and no number next to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.enrichment.detectors.identifiers import (
    iban_length,
    is_card,
    is_iban,
    is_personal_ipv4,
    is_personal_ipv6,
    is_ssn,
    passes_luhn,
)

DIGITS = st.text("0123456789", min_size=1, max_size=30).map(str.encode)

CARDS = {  # the networks' published test numbers
    "visa": b"4111111111111111", "visa 13": b"4222222222222", "mastercard": b"5555555555554444", "mastercard 2": b"2223003122003222",
    "amex": b"378282246310005", "discover": b"6011111111111117", "diners": b"30569309025904", "jcb": b"3530111333300000",
    "unionpay": b"6200000000000005", "maestro": b"6759649826438453",
}  # fmt: skip
IBANS = {  # the examples of the registry
    "DE": b"DE89370400440532013000", "GB": b"GB29NWBK60161331926819", "FR": b"FR1420041010050500013M02606", "NL": b"NL91ABNA0417164300",
    "NO": b"NO9386011117947", "CH": b"CH9300762011623852957", "ES": b"ES9121000418450200051332", "MT": b"MT84MALT011000012345MTLCAST001S",
}  # fmt: skip


@given(DIGITS)
def test_exactly_one_last_digit_passes_luhn(digits):
    assert sum(passes_luhn(digits + bytes([last])) for last in b"0123456789") == 1


@given(DIGITS, st.integers(0, 29), st.integers(1, 9))
def test_luhn_notices_every_single_wrong_digit(digits, place, change):
    whole = next(digits + bytes([last]) for last in b"0123456789" if passes_luhn(digits + bytes([last])))
    place %= len(whole)
    wrong = bytearray(whole)
    wrong[place] = 48 + (wrong[place] - 48 + change) % 10
    assert not passes_luhn(bytes(wrong))


@pytest.mark.parametrize("number", CARDS.values(), ids=CARDS)
def test_a_card_is_a_card_and_its_neighbour_is_none(number):
    assert is_card(number)
    assert not is_card(number[:-1] + bytes([48 + (number[-1] - 48 + 1) % 10]))


@pytest.mark.parametrize(
    "number",
    [b"0000000000000000", b"1234567812345670", b"9999999999999995", b"411111111111", b"4" * 20, b"7111111111111117"],
)
def test_a_number_nobody_issues_is_no_card(number):
    assert not is_card(number)


@pytest.mark.parametrize("account", IBANS.values(), ids=IBANS)
def test_an_account_is_an_account_and_no_change_of_one_character_is(account):
    assert is_iban(account)
    for place in range(2, len(account)):
        other = b"1" if account[place : place + 1] != b"1" else b"2"
        assert not is_iban(account[:place] + other + account[place + 1 :])


def test_the_length_of_an_account_is_its_countrys():
    assert (iban_length(b"DE"), iban_length(b"MT"), iban_length(b"US")) == (22, 31, 0)
    assert not is_iban(b"DE8937040044053201300")


@pytest.mark.parametrize(
    ("digits", "valid"),
    [
        (b"123456789", True), (b"899121234", True), (b"001010001", True),
        (b"000121234", False), (b"666121234", False), (b"900121234", False), (b"999121234", False),
        (b"123001234", False), (b"123120000", False), (b"078051120", False), (b"219099999", False),
    ],
)  # fmt: skip
def test_areas_groups_and_serials_never_issued_are_no_social_security_number(digits, valid):
    assert is_ssn(digits) is valid


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        (b"192.0.2.7", True), (b"10.1.2.3", True), (b"8.8.8.8", True), (b"127.0.0.1", False), (b"0.0.0.0", False),
        (b"255.255.255.0", False), (b"224.0.0.1", False), (b"256.1.1.1", False), (b"1.2.3", False), (b"01.2.3.4", False),
    ],
)  # fmt: skip
def test_an_ipv4_address_is_that_of_a_host(text, personal):
    assert is_personal_ipv4(text) is personal


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        (b"2001:db8::1", True), (b"fe80::1", True), (b"fd00::12", True), (b"::ffff:192.0.2.1", True),
        (b"c508:1658:85fa:d9e3:5d34:409b:62d9:b305", True), (b"::1", False), (b"::", False), (b"a::b", False),
        (b"00:11:22:33:44:55:66:77", False), (b"12:30:45", False), (b"ff02::1", False), (b"2001:db8::1::2", False),
    ],
)  # fmt: skip
def test_an_ipv6_address_is_that_of_a_host(text, personal):
    assert is_personal_ipv6(text) is personal
