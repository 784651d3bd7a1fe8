"""Warnings: what loads and may not be meant."""

import json
from pathlib import Path

import pytest
from support.conditions import file_of

from jupiter_addons.policy.lint import warnings
from jupiter_addons.policy.load import load

ALLOW, DENY, LOG = ({"type": "allow"}, {"type": "deny", "message": "no"}, {"type": "log", "message": "x"})
ALWAYS = {"conditions": []}
SOMETIMES = {"when": "request.n == 1"}


def told(files: dict[str, bytes]) -> list[str]:
    return [problem.message for problem in warnings(files, load(files))]


def unreached(*rules, **policy):
    found = told({"p.yaml": file_of(*rules, **policy)})
    return [message.split("`")[1] for message in found if "never reached" in message]


@pytest.mark.parametrize(
    ("first", "rest"),
    [
        ({**ALWAYS, "actions": [ALLOW]}, ["r1", "r2"]),
        ({**ALWAYS, "actions": [DENY]}, ["r1", "r2"]),
        ({"when": "true", "actions": [DENY]}, ["r1", "r2"]),
        ({"when": "true or request.n == 1", "actions": [DENY]}, ["r1", "r2"]),
        ({**ALWAYS, "actions": [LOG, DENY]}, ["r1", "r2"]),
        ({**ALWAYS, "actions": [DENY], "tier": "mandatory"}, ["r1", "r2"]),
        ({**ALWAYS, "actions": [ALLOW], "tier": "mandatory"}, []),
        ({**ALWAYS, "actions": [ALLOW], "mode": "shadow"}, []),
        ({**ALWAYS, "actions": [ALLOW], "mode": "off"}, []),
        ({**ALWAYS, "actions": [ALLOW], "phase": "response"}, []),
        ({**ALWAYS, "actions": [LOG]}, []),
        ({"when": "request.n == 3", "actions": [DENY]}, []),
        ({"when": "false", "actions": [DENY]}, []),
        ({"when": 'request.model != ""', "actions": [ALLOW]}, ["r1", "r2"]),
        ({"when": "processing.complexity_score >= 0", "actions": [ALLOW]}, ["r1", "r2"]),
        ({"when": "processing.complexity_score >= 2", "actions": [ALLOW]}, []),
        ({"when": 'request.model != "x"', "actions": [ALLOW]}, []),
        ({"when": "not request.stream", "actions": [DENY]}, []),
        ({**ALWAYS, "actions": [ALLOW], "priority": 1}, []),
    ],
)
def test_a_rule_behind_one_that_always_ends_the_evaluation_is_never_reached(first, rest):
    assert unreached(first, {**SOMETIMES, "actions": [DENY]}, {"when": "request.n == 2", "actions": [LOG]}) == rest


@pytest.mark.parametrize(
    ("first", "second", "reached"),
    [
        ("request.stream", 'request.stream and context.user_attributes.tier == "free"', False),
        ("request.n == 1 and request.stream", "request.stream and (request.n == 1 and request.max_tokens > 2)", False),
        ("request.n == 1", "request.n == 1", False),
        ("request.n == 1 and request.stream", "request.n == 1", True),
        ("request.n == 1", "request.n == 2", True),
        ("request.n == 1 or request.stream", "request.n == 1", True),
        ("request.max_tokens > 2", "request.max_tokens > 2", True),  # unknown of a text: then only what denies fires
        ("has_pii()", "has_pii() and request.n == 1", True),
    ],
)
def test_a_rule_about_some_of_the_calls_that_an_earlier_one_is_about_is_never_reached(first, second, reached):
    found = unreached({"when": first, "actions": [ALLOW]}, {"when": second, "actions": [DENY]})
    assert found == ([] if reached else ["r1"])


def test_in_a_first_match_policy_whatever_always_holds_is_the_last_of_its_own_file():
    rules = ({**ALWAYS, "actions": [LOG]}, {**SOMETIMES, "actions": [DENY]}, {**ALWAYS, "actions": [DENY]})
    first = file_of(*rules, combining="first-match")
    other = file_of({"name": "other", **SOMETIMES, "actions": [DENY]}, name="q")
    assert [line for line in told({"a": first, "b": other}) if "reached" in line] == [
        "rule `r1` is never reached",
        "rule `r2` is never reached",
    ]


def test_a_rule_of_a_first_match_policy_may_be_passed_over_and_then_ends_nothing_elsewhere():
    rules = ({"when": "request.n == 1", "actions": [LOG]}, {"when": "request.stream", "actions": [ALLOW]})
    files = {
        "a": file_of(*rules, combining="first-match"),
        "b": file_of({"when": "request.stream", "actions": [DENY]}, name="q"),
    }
    assert [line for line in told(files) if "reached" in line] == []


def test_the_rule_before_is_named_with_its_place():
    files = {
        "a.yaml": file_of({**ALWAYS, "actions": [ALLOW]}),
        "b.yaml": file_of({"name": "late", **SOMETIMES, "actions": [DENY]}, name="q"),
    }
    (found,) = [problem for problem in warnings(files, load(files)) if "reached" in problem.message]
    assert (found.file, found.hint) == (
        "b.yaml",
        "`r0` (a.yaml, line 1) holds for every call and is the last rule that is consulted",
    )


NULL = [
    ('context.team != "lab"', "`!=` holds also where `context.team` is absent"),
    ("context.team != request.user", "`!=` holds also where `context.team` is absent"),
    ('not context.team == "lab"', "`not` holds also where `context.team` is absent"),
    ('not (request.n == 1 or context.team == "lab")', "`not` holds also where `context.team` is absent"),
    ('context.team not in ["lab"]', "`not_in` does not hold where `context.team` is absent"),
    ('request.metadata.a not contains "x"', "`not_contains` does not hold where `request.metadata.a` is absent"),
    ('not context.team != "lab"', None),
    ('context.team == "lab"', None),
    ("context.team != null", None),
    ('exists(context.team) and context.team != "lab"', "`!=` holds also where `context.team` is absent"),
    ('context.team != null and context.team != "lab"', None),
    ('request.model != "gpt-4"', None),
    ("not request.stream", None),
    ("not has_pii()", None),
    ('not has_role("dpo")', None),
    ('request.messages[*].role != "user"', None),
]  # fmt: skip


@pytest.mark.parametrize(("when", "said"), NULL, ids=[when for when, _ in NULL])
def test_a_condition_that_means_something_else_where_a_field_is_absent_is_told(when, said):
    found = [line for line in told({"p": file_of({"when": when})}) if "absent" in line]
    assert (found[-1] if found else None) == said


def test_a_condition_on_exists_settles_what_is_meant():
    ask = {"field": "context.team", "operator": "exists", "value": False}
    other = {"field": "context.team", "operator": "!=", "value": "lab"}
    assert [line for line in told({"p": file_of({"conditions": [{"any": [ask, other]}]})}) if "absent" in line] == []


def test_a_variable_that_nothing_uses_is_told():
    variables = {"a": 1, "b": ["{{ variables.c }}"], "c": 2, "d": "{{ variables.e }}", "e": 3, "limit": 4, "model": 5}
    rules = [
        {"conditions": [{"field": "request.n", "operator": "in", "value": "{{ variables.b }}"}]},
        {"when": "request.n > limit * 2"},
        {"conditions": [], "actions": [{"type": "deny", "message": "at most {{ variables.a }} of a model"}]},
    ]
    found = told({"p": file_of(*rules, variables=variables)})
    assert [line for line in found if "variable" in line] == [
        f"variable `{name}` is not used" for name in ("d", "e", "model")
    ]


def test_policies_and_rules_without_description_are_told_once_a_file():
    described = {"description": "why", "conditions": []}
    assert told({"p": file_of(described, description="what")}) == []
    assert told({"p": file_of({"conditions": []}, description="what")}) == ["rule `r0` has no `description`"]
    text = json.dumps(json.loads(file_of({"conditions": []}, {"conditions": []}, described)), indent=1).encode()
    assert sorted(set(told({"p": text}))) == sorted(
        ["the policy has no `description`", "2 rules have no `description`", *["rule `r1` is never reached"], "rule `r2` is never reached"]
    )  # fmt: skip


EXAMPLES = Path(__file__).parents[3] / "shared" / "mpl-examples"


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the published policies are not at hand (../shared/mpl-examples)")
def test_the_rules_of_published_policies_that_an_earlier_one_shadows_are_told():
    found = set()
    for path in EXAMPLES.rglob("*.yaml"):
        if path.parent.name != "tests":
            files = {path.name: path.read_bytes()}
            found |= {
                (one.file[:2], one.message.split("`")[1])
                for one in warnings(files, load(files))
                if "reached" in one.message
            }
    assert {name for number, name in found if number.isdigit()} == {
        "alert-sensitive-content", "limit-tool-count", "free-tier-no-streaming",
    }  # fmt: skip
