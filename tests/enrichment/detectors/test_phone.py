"""A telephone number is told by its shape, or by the word before it."""

import pytest

from jupiter_addons.enrichment.detectors import phone
from jupiter_addons.enrichment.detectors.gate import Gate

GATE = Gate(phone.PATTERNS)


def surest(text: str) -> float:
    data = text.encode()
    return max(
        (phone.confidence(name, data, *place) for name in GATE.scan(data) for place in GATE.each(name, data, 10)),
        default=0.0,
    )


@pytest.mark.parametrize(
    "text",
    ["+49 30 901820", "+1 (212) 555-0199", "+442079460018", "0044 20 7946 0018", "212-555-0199", "(212) 555-0199", "01 23 45 67 89",
     "(030) 901820-12", "555.123.4567", "212-555-0199x44"],
)  # fmt: skip
def test_a_number_is_told_by_its_shape(text):
    assert surest(text) >= 0.5


@pytest.mark.parametrize(
    "text",
    ["+999 12345678", "+1 23", "0012345678901", "311-555-0199", "(2019) 123-4567", "2024-01-15", "15.01.2024", "5551234567", "12 345"],
)  # fmt: skip
def test_what_has_no_such_shape_is_none(text):
    assert surest(text) == 0


@pytest.mark.parametrize(
    "text", ["phone: 5551234567", "Tel. 901820 12", "call me at (5551234567", "手机13812345678", "Phone:\n555 12 34"]
)
def test_a_word_before_digits_makes_them_a_number(text):
    data = text.encode()
    first = next(place for place, byte in enumerate(data) if 48 <= byte <= 57)
    bounds = phone.announced(data, first)
    assert bounds is not None
    assert phone.confidence("said", data, *bounds) >= 0.5


@pytest.mark.parametrize(
    "text", ["order 5551234567", "telephones were invented long before, says chapter number 5551234567", "phone 12"]
)
def test_without_it_or_far_from_it_they_are_none(text):
    data = text.encode()
    assert phone.announced(data, next(place for place, byte in enumerate(data) if 48 <= byte <= 57)) is None


def test_a_date_behind_the_word_is_no_number():
    assert phone.confidence("said", b"2024-01-15", 0, 10) == 0


def test_an_extension_belongs_to_the_number():
    assert phone.extended(b"212-555-0199 ext. 44 please", 12) == 20
    assert phone.extended(b"212-555-0199 please", 12) == 12


def test_a_word_behind_digits_names_them():
    assert phone.is_named(b"5551234567 office", 10)
    assert not phone.is_named(b"5551234567 apples", 10)
