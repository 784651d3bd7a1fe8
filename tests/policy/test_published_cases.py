"""The published test cases: each gets what it expects, but those that contradict their own policy.

Their `metadata` are what the older runner takes for facts; here they stand for the fields that they are other spellings of.
"""

from pathlib import Path
from typing import Any

import pytest

from jupiter_addons.documents import read
from jupiter_addons.policy.decide import Decision, evaluate
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.load import load

SUITES = Path(__file__).parents[3] / "shared" / "mpl-examples" / "examples" / "policies"
pytestmark = pytest.mark.skipif(
    not SUITES.is_dir(), reason="the published policies are not at hand (../shared/mpl-examples)"
)

COUNTERS = {
    "hourly": "requests_this_hour",
    "per_second": "requests_this_second",
    "daily_tokens": "daily_token_usage",
    "model_hourly": "model_requests_this_hour",
}
"""What `rate_limit.…` is another spelling of."""

CONTRADICTS = {
    ("rate-limiting", "Allow pro tier user (no limits)"): (
        "burst-protection",
        "50 calls a second, where the policy denies more than 10 to every tier",
    ),
}
"""Policy and case -> the rule that decides otherwise, and why it is right to."""


def cases() -> list[Any]:
    found = []
    for path in sorted((SUITES / "tests").glob("*.yaml")) if SUITES.is_dir() else []:
        policy = path.name.removesuffix("-tests.yaml")
        for case in read(path.name, path.read_bytes()).plain()["tests"]:
            found.append(pytest.param(policy, case, id=f"{policy}: {case['name']}"))
    return found


def decided(policy: str, case: dict[str, Any]) -> Decision:
    rules = load({"p": (SUITES / f"{policy}.yaml").read_bytes()})
    said = case["metadata"]
    taken = {COUNTERS[name]: count for name, count in said.get("rate_limit", {}).items()}
    attributes = {**dict.fromkeys(COUNTERS.values(), 0), **said.get("user", {}), **taken}
    facts = {
        "request": {**case["request"], "user": said.get("user_id"), "request_id": said.get("request_id")},
        "processing": {"complexity_score": 1},
        "context": {"user_attributes": attributes, "time": {"timestamp": 1_764_025_985}},
    }
    roots = {root: (lambda value=value: value) for root, value in facts.items()}
    return evaluate(rules, indexed(rules.in_phase("request")), roots, "request")


@pytest.mark.parametrize(("policy", "case"), cases())
def test_a_published_case_gets_what_it_expects_unless_it_contradicts_its_policy(policy: str, case: dict[str, Any]):
    decision, expected = decided(policy, case), case["expect"]
    against = CONTRADICTS.get((policy, case["name"]))
    if against is not None:
        assert (decision.verdict, decision.rule) == ("deny", against[0])
        assert decision.verdict != expected["action"]
        return
    assert decision.verdict == expected["action"]
    assert expected.get("reason", "") in (decision.message or "")
    assert bool(decision.logs) or not expected.get("logged")
    assert decision.errors == ()


def test_every_published_case_is_tried():
    assert len(cases()) == 12
    assert {(param.values[0], param.values[1]["name"]) for param in cases()} >= CONTRADICTS.keys()
