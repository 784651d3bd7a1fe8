"""Personal data is found where it stands and nowhere else, in linear time.  All data here is made up."""

import itertools
import random
import time
import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.enrichment.detectors.gate import ScanError
from jupiter_addons.enrichment.detectors.normal import normalise
from jupiter_addons.enrichment.detectors.pii import KINDS, PiiDetector


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in PiiDetector().find(normalise(text))]


RECALL = [
    ("email", "alice@example.com"),
    ("email", "a.b+tag@mail.example.co.uk"),
    ("email", "jürgen@münchen.example"),
    ("email", "o'neil_7@example.museum"),
    ("credit_card", "4111111111111111"),
    ("credit_card", "4111 1111 1111 1111"),
    ("credit_card", "5555-5555-5555-4444"),
    ("credit_card", "3782 822463 10005"),
    ("credit_card", "30569309025904"),
    ("credit_card", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
    ("credit_card", "41111111 11111111"),
    ("iban", "DE89370400440532013000"),
    ("iban", "GB29 NWBK 6016 1331 9268 19"),
    ("iban", "de89 3704 0044 0532 0130 00"),
    ("iban", "NO93-8601-1117-947"),
    ("ssn", "123-45-6789"),
    ("ssn", "123 45 6789"),
    ("ip_address", "192.0.2.7"),
    ("ip_address", "2001:db8::8a2e:370:7334"),
    ("ip_address", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
    ("ip_address", "::ffff:192.0.2.7"),
    ("phone", "+49 30 901820"),
    ("phone", "(212) 555-0199"),
    ("phone", "212-555-0199 ext. 12"),
    ("phone", "01 23 45 67 89"),
]
AROUND = [
    "{}",
    "It is {}.",
    "({})",
    '{{"value":"{}"}}',
    "a\\n{}\\nb",
    "<b>{}</b>",
    "x={},y",
    "值{}值",
    "é: {}; ü",
    "{}\n{}",
]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(("kind", "text"), RECALL)
def test_each_kind_is_found_whole_whatever_stands_around_it(kind, text, around):
    whole = around.format(text, text)
    assert found(whole) == [(kind, text)] * whole.count(text)


@pytest.mark.parametrize(
    ("kind", "text", "there"),
    [
        ("credit_card", "4111\u200b1111\u200b1111\u200b1111", None),
        ("credit_card", "\uff14\uff11\uff11\uff11 1111 1111 1111", None),
        ("credit_card", "\u0664\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661\u0661", None),
        ("credit_card", "4111\u20111111\u20111111\u20111111", None),
        ("ssn", "123\u201145\u20116789", None),
        ("email", "alice\u00ad@exam\u200bple.com", None),
        ("email", "alice\uff20example\uff0ecom", None),
        ("credit_card", "2024 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("credit_card", "visa 4222222222222", "4222222222222"),
        ("ssn", "SSN: 123456789", "123456789"),
        ("phone", "Tel.: 901820123", "901820123"),
        ("phone", "reach me at 5551234567 today", "5551234567"),
        ("phone", "5551234567 (office)", "5551234567"),
        ("phone", "0,555 123 4567: fax", "123 4567"),
    ],
)  # fmt: skip
def test_disguises_and_company_change_nothing(kind, text, there):
    assert found(f"so {text} it is") == [(kind, there or text)]


NOTHING = [
    "on 2024-01-15 at 10:30:45.123456",
    "15.01.2024, 15/01/2024, 01-15-2024",
    "2024-01-15T10:30:45Z to 2024-02-15T10:30:45+02:00",
    "order 4711081512345678",
    "order ORD-4111111111111111",
    "order no. 123456789",
    "invoice 2024-000123-77",
    "version 1.2.3.4 replaces v10.0.1.7",
    "section 3.2.1.4 of the standard",
    "Python 3.12.1, chrome/120.0.6099.109",
    "550e8400-e29b-41d4-a716-446655440000",
    "123e4567-e89b-12d3-a456-426614174000",
    "d41d8cd98f00b204e9800998ecf8427e",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "$1,234,567.89 and 4111.1111 and 0.4111111111111111",
    "1700000000 1700000000123 1700000000123456789",
    "EAN 4006381333931",
    "ISBN 978-3-16-148410-0",
    "00:1b:44:11:3a:b7",
    "12:30:45 and 1:2:3",
    "std::vector<int> a::b",
    "127.0.0.1 0.0.0.0 255.255.255.0 ::1",
    "icon@2x.png react@18.2.0 @mention user@localhost",
    "git@github.com:owner/repo.git",
    "x = 41111111111111111111111111",
    "4111111111111112",
    "DE00370400440532013000",
    "XX89370400440532013000",
    "000-12-3456 666-12-3456 900-12-3456",
    "(2019) 123-4567",
    "pi is 3.14159265358979323846",
    "10,000,000 rows in 1,234 ms",
    "[0, 255, 128, 64, 32, 16, 8, 4, 2, 1]",
    "0x7ffee4c0a1b8 0xdeadbeef",
    "ab12_4111111111111111_cd",
    "IMG_20240115_103045.jpg",
    "lat 52.520008, lon 13.404954",
    "AA1234 BB5678 flight LH 400",
    "1-800-FLOWERS",
    "2001 2002 2003 2004 2005 2006",
]


@pytest.mark.parametrize("text", NOTHING)
def test_what_only_looks_like_it_is_no_finding(text):
    assert found(text) == []


@pytest.mark.parametrize("before", ["7", "a", "_", "x-", "1.", "9,"])
@pytest.mark.parametrize("text", ["4111111111111111", "123-45-6789", "192.0.2.177", "212-555-0199"])
def test_inside_a_longer_run_or_an_identifier_there_is_none(before, text):
    assert found(before + text) == []


@pytest.mark.parametrize("after", ["7", "a", "_", "-1", ".5"])
@pytest.mark.parametrize("text", ["4111111111111111", "123-45-6789", "192.0.2.177", "212-555-0199"])
def test_nor_before_one(text, after):
    assert found(text + after) == []


def test_of_two_kinds_for_the_same_characters_the_more_certain_one_stays():
    assert found("tel 4111 1111 1111 1111") == [("credit_card", "4111 1111 1111 1111")]
    assert found("5551234567@sms.example.com") == [("email", "5551234567@sms.example.com")]


@given(st.text(st.sampled_from("0123456789 -.+()@:abDE\u200b\uff11é") | st.characters(), max_size=60))
def test_findings_never_overlap(text):
    spans = PiiDetector().find(normalise(text))
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
    assert {span.kind for span in spans} <= set(KINDS)


HOSTILE = {
    "digits": "1",
    "pairs": "12 ",
    "local part": "a",
    "signs": "a@",
    "domains": "a.",
    "colons": "a:",
    "double colons": "a::",
    "spaced digits": "4 1 ",
    "plus": "+1",
    "brackets": "(1",
    "words": "tel ",
    "wide": "\uff14\u200b",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_a_megabyte_made_to_be_slow_takes_no_longer_than_some_scans_of_prose(piece):
    prose = ("The quick brown fox wrote 12 letters on Monday, and none of them was ever sent. " * 14000)[:1_000_000]
    hostile = (piece * 1_000_000)[:1_000_000]

    def taken_s(text: str) -> float:
        return min(
            timeit.repeat(lambda: PiiDetector().find(normalise(text)), number=1, repeat=2, timer=time.thread_time)
        )

    assert taken_s(hostile) < 60 * taken_s(prose)


@pytest.mark.parametrize(
    "alphabet", ["0123456789 -", "0123456789 -.()+/", "0123456789abcdef:-. ", "ab@.1", "12 te"], ids=repr
)
def test_nor_does_one_in_which_no_pattern_repeats(alphabet):
    """An automaton that has to keep in mind where each of many numbers began would have a state for every way they can."""
    dice = random.Random(1)
    prose = ("The quick brown fox wrote 12 letters on Monday, and none of them was ever sent. " * 14000)[:1_000_000]
    hostile = "".join(dice.choices(alphabet, k=1_000_000))

    def taken_s(text: str) -> float:
        return min(
            timeit.repeat(lambda: PiiDetector().find(normalise(text)), number=1, repeat=2, timer=time.thread_time)
        )

    assert taken_s(hostile) < 250 * taken_s(prose)


@pytest.mark.parametrize(
    "piece",
    ["4111 1111 1111 1112 ", "a@b.png ", "1.2.3.4.", "tel 5551234 ", "DE89ABCD ", "123-45-6789 ", "555-123-4567 "],
)
def test_candidates_cost_time_in_proportion_and_too_many_are_an_error(piece):
    small, large = piece * 1000, piece * 4000

    def taken_s(text: str) -> float:
        return min(
            timeit.repeat(lambda: PiiDetector().find(normalise(text)), number=1, repeat=3, timer=time.thread_time)
        )

    assert taken_s(large) < 8 * taken_s(small) + 0.002
    with pytest.raises(ScanError, match="candidates"):
        PiiDetector().find(normalise(piece * 30_000))
