"""What a case expects, key by key."""

import json

import pytest
from support.conditions import file_of

from jupiter_addons.documents import read
from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.expect import read_expectation
from jupiter_addons.policy.interpret import interpreted
from jupiter_addons.policy.load import load
from jupiter_addons.policy.reading import Reading

TAG = {"type": "tag", "key": "size", "value": "large"}
LOG = {"type": "log", "message": "seen 7 times"}
ROUTE = {"type": "route", "provider": "p", "model": "m"}
REDACT = {"type": "redact", "fields": ["request.messages"], "method": "mask"}
SET = {"type": "modify", "field": "request.temperature", "value": 0}
DENY = {"type": "deny", "message": "not here, please", "code": "not_here", "status": 451}
ALLOW = {"type": "allow"}


def decision(*actions):
    policies = load({"p": file_of({"conditions": [], "actions": list(actions)})})
    return evaluate(policies, interpreted(policies.rules), {}, "request")


def expectation(wanted):
    reading = Reading()
    found = read_expectation(read("f", json.dumps(wanted).encode()), reading)
    return found, [str(problem) for problem in reading.problems]


HOLDS = [
    ([DENY], {"verdict": "deny", "policy": "p", "rule": "r0", "code": "not_here", "status": 451}),
    ([DENY], {"message": "not here, please", "reason": "not here", "reason_contains": "please"}),
    ([DENY], {"action": "deny"}),
    ([DENY], {"action": "block"}),
    ([TAG], {"action": "allow", "verdict": "allow", "rule": None, "code": None, "status": None, "message": None}),
    ([TAG, LOG], {"tags": {"size": "large"}, "metadata": {}, "logs": ["seen 7 times"], "logged": True, "fired": ["r0"]}),
    ([TAG], {"logged": False, "logs": [], "metadata": {"size": "large"}, "rule_matches": ["r0"], "errors": [], "score": 0}),
    ([LOG], {"logs_contain": ["7", "seen"]}),
    ([ROUTE], {"action": "route", "provider": "p", "model": "m", "effects": ["route"]}),
    ([SET], {"action": "transform", "effects": ["modify"], "provider": None}),
    ([REDACT], {"action": "redact", "effects": ["redact"]}),
    ([REDACT], {"action": "allow"}),
]  # fmt: skip


@pytest.mark.parametrize(("actions", "wanted"), HOLDS)
def test_what_is_as_expected_has_no_differences(actions, wanted):
    found, problems = expectation(wanted)
    assert (list(found.differences(decision(*actions))), problems) == ([], [])


DIFFERS = [
    ([DENY], {"verdict": "allow"}, 'verdict: expected "allow", got "deny"'),
    ([DENY], {"action": "allow"}, 'action: expected "allow", got "deny"'),
    ([ROUTE], {"action": "allow"}, 'action: expected "allow", got "route"'),
    ([ALLOW], {"rule": None}, 'rule: expected null, got "r0"'),
    ([DENY], {"reason": "over there"}, 'reason: expected "over there", got "not here, please"'),
    ([ALLOW], {"reason": "x"}, 'reason: expected "x", got null'),
    ([TAG], {"tags": {}}, 'tags: expected {}, got {"size": "large"}'),
    ([TAG], {"metadata": {"a": "b"}}, 'metadata: expected {"a": "b"}, got {"size": "large"}'),
    ([TAG], {"logged": True}, "logged: expected true, got false"),
    ([LOG], {"logs_contain": ["8"]}, 'logs_contain: expected ["8"], got ["seen 7 times"]'),
    ([TAG], {"fired": []}, 'fired: expected [], got ["r0"]'),
    ([TAG], {"refused": "invalid_json"}, "expected to be refused as `invalid_json` before any rule; it was not"),
]  # fmt: skip


@pytest.mark.parametrize(("actions", "wanted", "said"), DIFFERS)
def test_what_is_otherwise_is_told(actions, wanted, said):
    assert list(expectation(wanted)[0].differences(decision(*actions))) == [said]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, "`expect` says what is expected"),
        ([], "`expect` says what is expected"),
        ({"verdct": "deny"}, "unknown key `verdct` in `expect`; hint: did you mean `verdict`?"),
        ({"verdict": "block"}, '`verdict` is allow or deny, not "block"'),
        ({"action": "explode"}, "`action` is allow or deny or block or route or transform or redact"),
        ({"rule": ["x"]}, "`rule` is a text or null, not a list"),
        ({"logged": "yes"}, '`logged` is true or false, not "yes"'),
        ({"fired": "x"}, '`fired` is a list, not "x"'),
        ({"tags": []}, "`tags` is a mapping, not a list"),
        ({"status": "403"}, '`status` is a number or null, not "403"'),
    ],
)
def test_what_is_wrong_with_an_expectation_is_told(wanted, said):
    assert said in expectation(wanted)[1][0]


def test_a_refusal_of_the_gateway_is_expected_by_its_code_alone():
    assert list(expectation({"refused": "invalid_json"})[0].differences_if_refused("invalid_json", "no")) == []
    for wanted in ({"refused": "invalid_value"}, {"verdict": "deny"}):
        (said,) = expectation(wanted)[0].differences_if_refused("invalid_json", "no")
        assert said == "the gateway refuses this request before any rule: invalid_json: no"
