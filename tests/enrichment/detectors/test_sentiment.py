"""Moods have a sign, and a negator turns it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.enrichment.detectors.normal import normalise
from jupiter_addons.enrichment.detectors.sentiment import Sentiment, sentiment


def mood(text: str) -> Sentiment:
    return sentiment(normalise(text))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Thank you, this is great!", "positive"), ("I LOVE it.", "positive"), ("Not bad at all", "positive"),
        ("This is terrible and I want a refund", "negative"), ("The app crashed, what a mess", "negative"),
        ("This is not helpful", "negative"), ("I don\u2019t like it", "negative"),
        ("The meeting is at nine", "neutral"), ("", "neutral"), ("good but bad", "neutral"), ("Das ist schlecht", "neutral"),
    ],
)  # fmt: skip
def test_the_words_of_a_text_make_its_mood(text, label):
    assert mood(text).label == label


def test_an_intensifier_makes_it_stronger():
    assert mood("very bad").score < mood("bad").score
    assert mood("really good").score > mood("good").score


@given(st.lists(st.sampled_from(["good", "bad", "not", "terrible", "very", "stone"])).map(" ".join))
def test_a_score_stays_within_its_bounds(text):
    assert -1 <= mood(text).score <= 1


def test_texts_are_taken_together():
    assert sentiment(normalise("great"), normalise("awful"), normalise("awful")).label == "negative"
    assert sentiment() == Sentiment(0.0, "neutral")
