"""Reading cases: what is given, what is expected, and what is wrong with either."""

import json

import pytest
from support.conditions import file_of

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.cases import MODEL, NOON_S, PATH, Example, inline_trials, read_cases, seconds_of
from jupiter_addons.policy.policies import read_policy

EXPECT = {"expect": {"verdict": "allow"}}


def case(**entries):
    (trial,) = read_cases("d/x.cases.yaml", json.dumps({"cases": [{**EXPECT, **entries}]}).encode()).trials
    return trial


def problem(document):
    with pytest.raises(ConfigError) as caught:
        read_cases("x.cases.yaml", json.dumps(document).encode())
    return str(caught.value)


def test_a_request_with_messages_is_a_body():
    trial = case(request={"messages": [{"role": "user", "content": "hi"}]})
    assert json.loads(trial.asked.body) == {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    assert (trial.asked.path, trial.asked.time_s, trial.assumed) == (PATH, NOON_S, ())


def test_any_other_request_names_fields():
    trial = case(request={"model": "m", "user.tier": "free"}, context={"team": "lab"})
    assert trial.asked.body is None
    assert [(one.field.text, one.value) for one in trial.assumed] == [
        ("request.model", "m"),
        ("context.user_attributes.tier", "free"),
        ("context.team", "lab"),
    ]


def test_a_body_of_another_dialect_is_one_that_says_its_path():
    trial = case(request={"model": "m", "prompt": "hi"}, given={"path": "/api/generate"})
    assert (trial.asked.path, json.loads(trial.asked.body)) == ("/api/generate", {"model": "m", "prompt": "hi"})


def test_what_is_mocked_comes_last_and_so_prevails():
    trial = case(context={"team": "lab"}, mock={"context.team": "hr"}, metadata={"team": "it"})
    assert [one.value for one in trial.assumed][-1] == "hr"


def test_an_answer_that_is_given_is_what_is_judged():
    trial = case(response={"content": "no", "status_code": 500})
    assert (trial.judges_answer, trial.asked.answer) == (True, "no")
    assert case(mock={"response.content": "x"}).judges_answer
    assert not case(request={"model": "m"}).judges_answer


@pytest.mark.parametrize("entries", [{"given": {"time": "2026-01-31T21:30:00+01:00"}}, {"time": "2026-01-31T20:30:00"}])
def test_the_clock_can_be_set(entries):
    assert case(**entries).asked.time_s == 1769891400


@pytest.mark.parametrize("written", [None, 7, "", "yesterday", "2026-13-01", "2026-01-31T25:00:00"])
def test_what_is_no_time_is_none(written):
    assert seconds_of(written) is None


WRONG = [
    ({}, "has a list of them under `cases` or `tests`"),
    ({"cases": [EXPECT], "casse": 1}, "unknown key `casse` in a file of cases"),
    ({"cases": {"a": 1}}, "`cases` is a list of mappings"),
    ({"cases": [{"name": "x"}]}, "a case says what it expects, under `expect`"),
    ({"cases": [{**EXPECT, "requst": {}}]}, "unknown key `requst` in a case; hint: did you mean `request`?"),
    ({"cases": [{**EXPECT, "request": {"modle": 1}}]}, "unknown field `request.modle`; hint: did you mean"),
    ({"cases": [{**EXPECT, "default": "maybe"}]}, "`default` is allow or deny"),
    ({"cases": [{**EXPECT, "exceeded": "r"}]}, "`exceeded` is a list of rules"),
    ({"cases": [{**EXPECT, "given": {"tim": 1}}]}, "unknown key `tim` in `given`"),
    ({"cases": [{**EXPECT, "given": 1}]}, "`given` is a mapping, not a number"),
    ({"cases": [{**EXPECT, "time": "noon"}]}, "a time is written like 2026-01-31T12:00:00Z"),
    ({"cases": [{**EXPECT, "given": {"path": 1}}]}, "`path` is an endpoint"),
    ({"cases": [EXPECT], "policies": [1]}, "a policy file is named by its path, not a number"),
]


@pytest.mark.parametrize(("document", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_with_a_file_of_cases_is_told_with_its_place(document, said):
    found = problem(document)
    assert said in found
    assert found.startswith("x.cases.yaml:1:")


def test_published_files_are_read_and_cases_are_placed_and_numbered():
    found = read_cases(
        "t.yaml",
        b"policies: [a.yaml]\ntests:\n  - {expected: {action: block}}\n  - name: x\n    expect: {logged: true}\n",
    )
    assert [(t.name, t.mark.line, t.mark.column) for t in found.trials] == [("case 1", 3, 5), ("x", 4, 5)]
    assert [name for name, _ in found.policies] == ["a.yaml"]


def test_the_tests_and_examples_of_a_policy_are_cases():
    rule = {
        "when": "request.n == 1",
        "examples": {"match": [{"request": {"n": 1}}, {"mock": {"request.n": 1}}], "todo": [{}]},
    }
    policy = read_policy("p.yaml", file_of(rule, tests=[{"name": "t", **EXPECT}]))
    trials = inline_trials(policy)
    assert [trial.name for trial in trials] == ["t", "r0: match 1", "r0: match 2", "r0: todo 1"]
    assert trials[1].expects == Example("r0", "match")
    assert trials[3].expects == Example("r0", "todo")


def test_what_is_wrong_with_a_test_in_a_policy_is_told():
    rule = {"when": "request.n == 1", "examples": {"match": [{"expect": {}}, {"request": {"m": 1}}]}}
    with pytest.raises(ConfigError) as caught:
        inline_trials(read_policy("p.yaml", file_of(rule, tests=[{"expect": {"verdict": 1}}])))
    told = str(caught.value)
    assert "unknown key `expect` in an example" in told
    assert "unknown field `request.m`" in told
    assert "`verdict` is allow or deny" in told
