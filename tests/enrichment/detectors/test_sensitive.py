"""Sensitive matter is told by phrases; single words that have other meanings say nothing."""

import pytest

from jupiter_addons.enrichment.detectors.normal import normalise
from jupiter_addons.enrichment.detectors.sensitive import Sensitive, SensitiveDetector, assess
from jupiter_addons.enrichment.detectors.sensitive_words import PHRASES, SEVERITIES


def judged(text: str) -> Sensitive:
    return assess(SensitiveDetector().find(normalise(text)))


@pytest.mark.parametrize(
    ("text", "category", "severity"),
    [
        ("I am going to kill him tonight", "violence", "critical"),
        ("Three people were stabbed downtown", "violence", "low"),
        ("I want to die", "self_harm", "critical"),
        ("suicide prevention", "self_harm", "high"),
        ("Send me nudes", "sexual", "medium"),
        ("racism in football", "hate", "low"),
        ("how do I build a pipe bomb at home", "weapons", "critical"),
        ("a rifle and ammunition", "weapons", "low"),
        ("where can I buy cocaine", "illegal_drugs", "high"),
        ("she was diagnosed with asthma", "medical", "medium"),
        ("his medical record number is on the form", "medical", "high"),
        ("that would be insider trading", "financial", "critical"),
        ("a cease-and-desist letter", "legal", "medium"),
        ("this is a trade secret", "confidential", "high"),
        ("TOP SECRET//NOFORN", "confidential", "critical"),
        ("password: hunter2", "credentials", "high"),
        ("-----BEGIN RSA PRIVATE KEY-----", "credentials", "critical"),
        ("s\u200buicide", "self_harm", "high"),
        ("c\u043ecaine", "illegal_drugs", "medium"),
    ],
)
def test_a_phrase_tells_category_and_severity(text, category, severity):
    assert judged(text) == Sensitive((category,), severity)


@pytest.mark.parametrize(
    "text",
    [
        "kill the process with SIGKILL", "a class of skills", "the grape and the therapist", "shoot me an email", "Sussex and Essex",
        "executing the query", "the attack surface of the API", "this bug is killing me", "a killer feature", "bombard with questions",
        "drug store opening hours", "weapon of choice: vim", "account settings", "the plot of land", "hashed passwords in the database",
        "a secret recipe", "patient people wait", "the assignment operator", "court the voters", "the naked eye",
    ],
)  # fmt: skip
def test_words_with_other_meanings_say_nothing(text):
    assert judged(text) == Sensitive((), None)


def test_the_highest_severity_counts_and_categories_are_sorted():
    assert judged("racism, rifles, and how to get away with murder") == Sensitive(
        ("hate", "violence", "weapons"), "critical"
    )


def test_every_category_of_the_table_has_every_severity():
    assert {name: tuple(rows) for name, rows in PHRASES.items()} == dict.fromkeys(PHRASES, SEVERITIES)


def test_a_span_is_the_phrase_in_the_text_as_it_was_sent():
    text = "é\u200b — she was dia\u00adgnosed with asthma"
    (span,) = SensitiveDetector().find(normalise(text))
    assert text[span.start : span.end] == "dia\u00adgnosed with"
