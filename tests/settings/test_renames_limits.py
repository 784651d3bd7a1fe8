"""Old spellings of limits."""

import pytest

from jupiter_addons.documents import read
from jupiter_addons.settings.renames_limits import rename_limits


def renamed(text: str):
    root = read("f", text.encode())
    problems, notes = [], []
    rename_limits(root, problems, notes)
    return root.plain(), [p.message for p in problems], [n.message for n in notes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "budgets: {enabled: true, alert_threshold: 0.8, by_user: {alice: {hourly: 1, daily: 20, monthly: 0}}}",
            {
                "by_user": {
                    "alice": {
                        "usd_per_hour": {"limit": 1, "alerts": [80]},
                        "usd_per_day": {"limit": 20, "alerts": [80]},
                    }
                }
            },
        ),
        (
            "rate_limits: {enabled: true, by_api_key: {abcdefghijkl: {requests_per_second: 5, max_concurrent: 2}}}",
            {"by_key": {"abcdefghijkl": {"requests_per_second": 5, "concurrent_requests": 2}}},
        ),
        (
            "{by_team: {lab: {usd_per_day: 1}}, rate_limits: {enabled: true, by_team: {lab: {tokens_per_hour: 9}}}}",
            {"by_team": {"lab": {"usd_per_day": 1, "tokens_per_hour": 9}}},
        ),
        ("budgets: {by_user: {alice: {daily: 20}}}", {}),
        ("rate_limits: {enabled: false, by_user: {alice: {requests_per_hour: 1}}}", {}),
    ],
)
def test_an_old_section_becomes_entries_with_one_note(text, expected):
    found, problems, notes = renamed(text)
    assert found == expected
    assert problems == []
    assert len(notes) == 1


def test_what_is_not_enabled_is_left_out_and_said_so():
    _, _, (note,) = renamed("budgets: {enabled: false, by_user: {alice: {daily: 20}}}")
    assert note == "`limits.budgets` is not `enabled`, and its limits are left out"


def test_what_is_given_twice_is_a_problem():
    _, problems, _ = renamed(
        "{by_user: {alice: {usd_per_day: 1}}, budgets: {enabled: true, by_user: {alice: {daily: 2}}}}"
    )
    assert problems == ["`limits.budgets.by_user.alice.daily` is given twice"]


@pytest.mark.parametrize(
    "text",
    [
        "budgets: {enabled: true, by_planet: {earth: {daily: 1}}}",
        "budgets: 3",
        "rate_limits: {enabled: true, by_user: 4}",
    ],
)
def test_what_nobody_knows_is_left_to_the_schema(text):
    found, problems, _ = renamed(text)
    assert problems == []
    assert found.keys() & {"budgets", "rate_limits"}
