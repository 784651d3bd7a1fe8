"""Trying cases: what passes, what fails and why, and which rules were reached."""

import json

import pytest
from support.conditions import file_of

from jupiter_addons.errors import Refusal, RequestError
from jupiter_addons.policy.cases import inline_trials, read_cases
from jupiter_addons.policy.load import load, read_policies
from jupiter_addons.policy.trials import Trials, coverage

DENY = {"type": "deny", "message": "no", "code": "no_one"}
RULES = (
    {"name": "one", "when": "request.n == 1", "actions": [DENY]},
    {"name": "scan", "when": 'injection_score() > 0.5 and request.model == "s"', "actions": [DENY]},
    {
        "name": "limited",
        "when": "request.n == 2",
        "actions": [{"type": "rate_limit", "key": "k", "limit": 9, "window": "1m"}],
    },
    {"name": "answer", "when": 'response.content contains "secret"', "actions": [DENY]},
)


def gateway(asked, phase):
    if asked.body is not None:
        raise RequestError(Refusal("invalid_value", "`messages` is wrong"))
    injection = {"detected": False, "confidence": 0.0}
    return {
        "request": lambda: {"n": 0, "model": "m"},
        "processing": lambda: {"content_analysis": {"prompt_injection": injection}},
    }


def tried(*rules, **entries):
    policies = load({"p.yaml": file_of(*(rules or RULES))})
    (trial,) = read_cases("c", json.dumps({"cases": [entries]}).encode()).trials
    return Trials(policies, gateway).run(trial)


PASSES = [
    {"request": {"n": 1}, "expect": {"verdict": "deny", "rule": "one"}},
    {"request": {"n": 3}, "expect": {"verdict": "allow", "rule": None}},
    {"request": {"n": 3}, "default": "deny", "expect": {"verdict": "deny", "rule": None}},
    {"request": {"n": 2}, "expect": {"verdict": "allow", "fired": ["limited"]}},
    {"request": {"n": 2}, "exceeded": ["limited"], "expect": {"rule": "limited", "status": 429}},
    {"request": {"model": "s"}, "mock": {"processing.content_analysis.prompt_injection.confidence": 0.9}, "expect": {"rule": "scan"}},
    {
        "request": {"model": "s"},
        "unknown": ["processing.content_analysis.prompt_injection.confidence"],
        "expect": {"rule": "scan", "errors": ["p/scan"]},
    },
    {"response": {"content": "a secret"}, "expect": {"rule": "answer"}},
    {"request": {"messages": []}, "expect": {"refused": "invalid_value"}},
]  # fmt: skip


@pytest.mark.parametrize("entries", PASSES)
def test_a_case_that_gets_what_it_expects_passes(entries):
    result = tried(**entries)
    assert (result.status, result.differences) == ("passed", ())
    assert result.seconds > 0


FAILS = [
    ({"request": {"n": 1}, "expect": {"verdict": "allow", "rule": None}}, ['verdict: expected "allow", got "deny"', 'rule: expected null, got "one"']),
    ({"request": {"n": 3}, "exceeded": ["limited"], "expect": {"verdict": "allow"}}, ["no limit of `limited` is asked of this call"]),
    ({"request": {"messages": []}, "expect": {"verdict": "deny"}}, ["the gateway refuses this request before any rule: invalid_value: `messages` is wrong"]),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "said"), FAILS)
def test_a_case_that_gets_something_else_fails_and_says_what(entries, said):
    result = tried(**entries)
    assert (result.status, list(result.differences)) == ("failed", said)


def test_an_hour_that_a_policy_with_a_zone_would_not_see_is_no_silent_pass():
    rule = {"name": "night", "when": "context.time.hour < 6", "actions": [DENY]}
    for policy, status in (({}, "passed"), ({"timezone": "Europe/Berlin"}, "failed")):
        policies = load({"p": file_of(rule, **policy)})
        case = {"context": {"time": {"hour": 3}}, "expect": {"verdict": "deny"}}
        (trial,) = read_cases("c", json.dumps({"cases": [case]}).encode()).trials
        result = Trials(policies, gateway).run(trial)
        assert result.status == status
    assert result.differences == ("`context.time.hour` is not seen by a policy with a `timezone`: set the time itself",)


def examples(rule, **given):
    files = {"p.yaml": file_of({**rule, "examples": given})}
    (policy,) = read_policies(files)
    trials = Trials(load(files), gateway)
    return [(result.status, *result.differences) for result in map(trials.run, inline_trials(policy))]


def test_an_example_is_of_its_own_rule_whatever_others_say():
    yes, no = {"request": {"n": 1}}, {"request": {"n": 2}}
    found = examples(RULES[0], match=[yes, no], no_match=[no, yes], todo=[yes, no])
    assert found == [
        ("passed",),
        ("failed", "the condition of `one` is false, and shall be true"),
        ("passed",),
        ("failed", "the condition of `one` is true, and shall be false"),
        ("todo", "it is true of it already"),
        ("todo", "its condition is false"),
    ]


def test_unknown_is_neither_a_match_nor_none():
    failed = {"unknown": ["processing.content_analysis.prompt_injection.confidence"], "request": {"model": "s"}}
    found = examples(RULES[1], match=[failed], no_match=[failed])
    assert [status for status, *_ in found] == ["failed", "failed"]
    assert found[0][1] == "the condition of `scan` is unknown, and shall be true"


def test_examples_of_a_rule_that_is_off_are_skipped():
    assert examples({**RULES[0], "enabled": False}, match=[{}]) == [("skipped", "the rule is off")]


def test_a_request_that_the_gateway_refuses_is_no_example():
    found = examples(RULES[0], match=[{"request": {"messages": []}}])
    assert found == [("failed", "the gateway refuses this request: invalid_value: `messages` is wrong")]


def test_coverage_counts_the_rules_that_fired_in_any_case_by_file():
    files = {
        "a.yaml": file_of(*RULES[:2]),
        "b.yaml": file_of(RULES[0], {"name": "late", "when": "request.n == 1", "actions": [DENY]}, name="q"),
    }
    policies = load(files)
    (trial,) = read_cases("c", json.dumps({"cases": [PASSES[0]]}).encode()).trials
    found = coverage(policies.rules, [Trials(policies, gateway).run(trial)])
    assert found.fired == {"a.yaml": ("one",), "b.yaml": ()}
    assert found.never == {"a.yaml": ("scan",), "b.yaml": ("one", "late")}
    assert found.percent == 25
    assert coverage([], []).percent == 100


def test_a_rule_that_is_met_behind_the_first_of_a_first_match_policy_has_not_fired():
    rules = [
        {"name": name, "conditions": [], "actions": [{"type": "log", "message": "x"}]} for name in ("first", "second")
    ]
    policies = load({"p": file_of(*rules, combining="first-match")})
    (trial,) = read_cases("c", json.dumps({"cases": [{"expect": {"fired": ["first"]}}]}).encode()).trials
    result = Trials(policies, gateway).run(trial)
    assert (result.status, result.fired) == ("passed", {("p", "first")})
