"""Facts that are given by hand, over those that are there."""

import json

import pytest

from jupiter_addons.documents import read
from jupiter_addons.policy.assume import assumed, assumptions, loose_assumptions, unknowns
from jupiter_addons.policy.facts import SURPRISE, Lazy
from jupiter_addons.policy.reading import Reading


def given(value, how=assumptions):
    reading = Reading()
    found = {one.field.text: one.value for one in how(read("f", json.dumps(value).encode()), reading)}
    return found, [str(problem) for problem in reading.problems]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ({"request": {"model": "m", "user": {"tier": "free"}}}, {"request.model": "m", "context.user_attributes.tier": "free"}),
        ({"rate_limit.hourly": 9}, {"context.user_attributes.requests_this_hour": 9}),
        ({"request": {"metadata": {"a b": {"c": 1}}}}, {"request.metadata['a b']": {"c": 1}}),
        ({"context": {"user_attributes": {"id": "x", "y": [1]}}}, {"context.user_id": "x", "context.user_attributes.y": [1]}),
        ({"provider": {"openai": {"region": "eu"}}}, {"provider.openai.region": "eu"}),
        ({"request": {"headers": {"User-Agent": "x"}}}, {"request.headers.user_agent": "x"}),
        ({"request": {}}, {}),
    ],
)  # fmt: skip
def test_a_field_is_given_in_any_published_spelling(written, meant):
    assert given(written) == (meant, [])


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"request": {"modle": "m"}}, "f:1:14: unknown field `request.modle`; hint: did you mean `request.model`?"),
        ({"request.messages[0].content": "m"}, "cannot be given a value by itself"),
        ({"request.messages.length": 1}, "cannot be given a value by itself"),
        ([1], "is a mapping of fields, not a list"),
    ],
)
def test_what_is_no_field_is_told(written, said):
    found, problems = given(written)
    assert found == {}
    assert said in problems[0]


def test_what_published_tests_call_metadata_is_looked_for_in_every_root():
    written = {
        "user": {"tier": "free", "id": "u"}, "rate_limit": {"hourly": 101}, "user_id": "v", "request_id": "r",
        "estimated_cost": 0.5, "project": "p", "team": "lab",
    }  # fmt: skip
    assert given(written, loose_assumptions) == (
        {
            "context.user_attributes.tier": "free",
            "context.user_id": "v",
            "context.user_attributes.requests_this_hour": 101,
            "request.request_id": "r",
            "processing.cost_estimate.total_cost": 0.5,
            "request.metadata.project": "p",
            "context.team": "lab",
        },
        [],
    )


def test_only_what_is_costly_can_be_unknown():
    assert given(["request.risk_score"], unknowns) == ({"processing.risk_score": SURPRISE}, [])
    assert "`request.model` is always known" in given(["request.model"], unknowns)[1][0]
    assert "`unknown` is a list of fields, not a mapping" in given({}, unknowns)[1][0]


def test_what_is_given_stands_in_place_of_what_is_there_and_the_rest_stays():
    detection = Lazy(lambda: {"detected": True, "types": ["email"]})
    base = {"processing": lambda: {"content_analysis": {"pii_detection": detection}, "risk_score": 3}}
    node = read("f", b"{processing.content_analysis.pii_detection.detected: false, context.team: lab}")
    facts = assumed(base, assumptions(node, Reading()))
    processing = facts["processing"]()
    assert processing["content_analysis"]["pii_detection"].value() == {"detected": False, "types": ["email"]}
    assert processing["risk_score"] == 3
    assert facts["context"]() == {"team": "lab"}
    assert detection.value() == {"detected": True, "types": ["email"]}
    assert base["processing"]()["content_analysis"]["pii_detection"] is detection


def test_a_detector_that_failed_is_replaced_too():
    def fail():
        raise OSError

    base = {"processing": lambda: {"content_analysis": {"pii_detection": Lazy(fail)}}}
    node = read("f", b"{processing.content_analysis.pii_detection.detected: false}")
    found = assumed(base, assumptions(node, Reading()))["processing"]()["content_analysis"]["pii_detection"].value()
    assert found == {"detected": False}
