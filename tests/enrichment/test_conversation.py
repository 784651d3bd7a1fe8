"""Turns, and how full the window is."""

import pytest

from jupiter_addons.dialects.call import Message
from jupiter_addons.enrichment.conversation import conversation


@pytest.mark.parametrize(
    ("roles", "turns"),
    [
        ("", 0), ("system", 0), ("system user", 1), ("user assistant user", 2), ("assistant assistant user", 2), ("user tool tool", 1),
    ],
)  # fmt: skip
def test_turns_are_what_the_side_that_said_more_has_said(roles, turns):
    messages = [Message(role, "x") for role in roles.split()]
    assert conversation(messages, input_tokens=0, output_tokens=0, window_tokens=None).turn_count == turns


def test_the_window_is_filled_by_the_input():
    found = conversation([], input_tokens=4000, output_tokens=1000, window_tokens=16_000)
    assert found.facts == {
        "turn_count": 0,
        "context_window_usage": 4000,
        "context_window_percent": 0.25,
        "total_tokens": 5000,
    }


def test_what_does_not_fit_is_more_than_all_of_it():
    assert conversation([], input_tokens=300, output_tokens=0, window_tokens=200).context_window_percent == 1.5


@pytest.mark.parametrize("window", [None, 0])
def test_of_a_window_that_is_not_known_there_is_no_fraction(window):
    assert conversation([], input_tokens=300, output_tokens=0, window_tokens=window).context_window_percent is None
