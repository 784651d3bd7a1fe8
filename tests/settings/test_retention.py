"""What a configuration says of keeping evidence, and what it may not say."""

import pytest
from pydantic import ValidationError

from jupiter_addons.evidence.retention import Hold, Terms
from jupiter_addons.settings.retention import terms
from jupiter_addons.settings.schema_governance import Retention


def named(user: str) -> str:
    return f"hmac:{user}"


def test_by_default_everything_is_kept():
    assert terms(Retention(), named) == Terms()
    assert terms(Retention(), named).keeps_everything


def test_terms_are_those_of_the_configuration():
    hold = {"reason": "case 7", "user": "alice", "since": "2026-01-31", "until": "2026-02-01"}
    given = Retention.model_validate(
        {"days": 200, "by_verdict": {"deny": 400}, "content_days": 30, "max_records": 9, "legal_hold": [hold]}
    )
    day_us = 1_769_817_600_000_000
    assert terms(given, named) == Terms(
        200, {"deny": 400}, 30, 9, (Hold("case 7", "hmac:alice", None, day_us, day_us + 86_400_000_000),)
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"days": 90}, "less than the 180"),
        ({"by_verdict": {"allow": 30}}, "less than the 180"),
        ({"days": 0}, "greater than or equal to 1"),
        ({"by_verdict": {"maybe": 400}}, "'allow' or 'deny'"),
        ({"schedule": "often"}, "five fields"),
        ({"schedule": "0 25 * * *"}, "an? hour is from 0 to 23"),
        ({"legal_hold": [{"user": "alice"}]}, "reason"),
        ({"legal_hold": [{"reason": "x", "since": "yesterday"}]}, "date"),
    ],
)
def test_what_makes_no_sense_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        Retention.model_validate(given)


def test_less_than_six_months_has_to_be_meant():
    assert Retention.model_validate({"days": 7, "allow_short": True}).days == 7
    assert Retention.model_validate({"content_days": 7}).content_days == 7, "what was said may always go early"
