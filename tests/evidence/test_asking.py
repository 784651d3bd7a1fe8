"""What people write becomes a filter, or they are told what is wrong with it."""

import pytest

from jupiter_addons.evidence.asking import NAMES, QuestionError, asked, count
from jupiter_addons.evidence.query import Filter

NOW_S = 1_000_000.5


def named(user: str) -> str:
    return f"hmac:{user}"


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ({}, Filter()),
        ({"user": "alice"}, Filter(user="hmac:alice")),
        ({"user": "hmac:1"}, Filter(user="hmac:1")),
        ({"endpoint": "/v1/x", "attempts": "2"}, Filter(path="/v1/x", min_attempts=2)),
        ({"since": "2026-01-31", "until": "24h"}, Filter(since_us=1_769_817_600_000_000, until_us=913_600_500_000)),
        ({"min_cost": "0.000000001", "max_cost": "12.10"}, Filter(min_cost_nusd=1, max_cost_nusd=12_100_000_000)),
        ({"min_tokens": "0", "max_tokens": "7"}, Filter(min_tokens=0, max_tokens=7)),
        ({"verdict": "deny", "door": "intercept", "tag": "a=b"}, Filter(verdict="deny", door="intercept", tag="a=b")),
    ],
)
def test_texts_are_a_filter(texts, wanted):
    assert asked(texts, named, NOW_S) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("since", "yesterday"),
            ("until", ""),
            ("since", "5x"),
            ("min_cost", "much"),
            ("max_cost", "-1"),
            ("max_cost", "1e99"),
        ),
        *(
            ("min_cost", "0.0000000001"),
            ("min_cost", "nan"),
            ("attempts", "-1"),
            ("attempts", "1.5"),
            ("min_tokens", "٣"),
        ),
        *(("max_tokens", "9" * 20), ("verdict", "maybe"), ("door", "back"), ("colour", "red")),
    ],
)
def test_what_makes_no_sense_is_told_by_name(name, text):
    with pytest.raises(QuestionError) as caught:
        asked({name: text}, named, NOW_S)
    assert caught.value.name == name


def test_every_part_of_a_filter_can_be_asked_for():
    texts = dict.fromkeys(NAMES, "1") | {"since": "1d", "until": "1d", "verdict": "allow", "door": "gateway"}
    assert asked(texts, named, NOW_S).given().keys() == set(Filter.__dataclass_fields__)


def test_counts_are_bounded():
    assert count("7", "limit", 7) == 7
    with pytest.raises(QuestionError, match="up to 7"):
        count("8", "limit", 7)
