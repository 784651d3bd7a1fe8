"""One policy file: its keys, what rules inherit, and what is kept for others."""

import pytest
from support.conditions import file_of

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.load import load
from jupiter_addons.policy.nodes import Zone
from jupiter_addons.policy.policies import read_policy

ALWAYS = {"conditions": []}


def problem(*rules, **policy):
    with pytest.raises(ConfigError) as caught:
        read_policy("dir/p.yaml", file_of(*(rules or [ALWAYS]), **policy))
    return str(caught.value)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"timezone": "Mars/Olympus"}, "there is no time zone `Mars/Olympus`; hint: IANA names, like Europe/Berlin"),
        ({"timezone": 1}, "there is no time zone `1`"),
        ({"combining": "all"}, "`combining` is first-terminal or first-match"),
        (
            {"combining": "first-terminal", "evaluation": "first-terminal"},
            "`evaluation` is another spelling of `combining`",
        ),
        (
            {"includes": ["../other.yaml", "../../etc/passwd"]},
            "`../../etc/passwd` leads out of the directory of policies",
        ),
        ({"includes": "/etc/passwd"}, "leads out of the directory of policies"),
        ({"includes": [7]}, "an included file is named by its path, not a number"),
        ({"tests": {"a": 1}}, "`tests` is a list of mappings"),
        ({"policies": []}, "unknown key `policies` in a policy"),
    ],
)
def test_what_is_wrong_with_a_policy_is_said(policy, said):
    assert said in problem(**policy)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"when": "true", "conditions": []}, "a rule has `conditions` or `when`, not both"),
        ({"when": "true", "match": {}}, "a rule has `when` or `match`, not both"),
        ({}, "a rule needs `conditions`; hint: write `conditions: []`"),
        ({"conditions": [], "examples": []}, "`examples` is a mapping, not a list"),
        (
            {"conditions": [], "examples": {"matches": []}},
            "unknown key `matches` in `examples`; hint: did you mean `match`?",
        ),
        ({"conditions": [], "examples": {"match": [7]}}, "`match` is a list of mappings"),
        ({"match": {"field": {"name": "request.modle", "operator": "exists"}}}, "unknown field `request.modle`"),
        ({"match": {"field": {"name": "request.model", "operatr": "exists"}}}, "unknown key `operatr`"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(rule, said):
    assert said in problem(rule)


def test_an_older_form_is_refused_by_name():
    with pytest.raises(
        ConfigError,
        match=r"a list of `policies` with `condition:` texts is an older form; hint: `jupiter policy convert` writes it",
    ):
        load({"p": b'version: "1.0"\npolicies: [{name: x, condition: "true", action: deny}]\n'})


def test_time_is_told_for_the_zone_of_the_policy():
    policy = read_policy("p", file_of({"when": "time.hour >= 9 and in_business_hours()"}, timezone="Europe/Berlin"))
    hour, hours = policy.rules[0].condition.conditions
    assert Zone("Europe/Berlin") in hour.subject.steps
    assert hours.subject.arguments[1].value == "Europe/Berlin"


def test_match_is_another_word_for_conditions():
    named = {"field": {"name": "request.model", "operator": "exists"}}
    (rule,) = read_policy("p", file_of({"match": named})).rules
    (condition,) = rule.condition.conditions
    assert (condition.subject.text, condition.operator) == ("request.model", "exists")
    (rule,) = read_policy("p", file_of({"match": {"all": [{"field": "request.n", "operator": "exists"}]}})).rules
    assert len(rule.condition.conditions) == 1


def test_tests_and_examples_are_kept():
    examples = {"match": [{"request": {"n": 1}}], "no_match": [{"request": {"n": 2}}, {}], "todo": []}
    policy = read_policy("p", file_of({"conditions": [], "examples": examples}, tests=[{"name": "t", "request": {}}]))
    assert [(case.rule, case.expects, case.node.plain()) for case in policy.cases] == [
        (None, None, {"name": "t", "request": {}}),
        ("r0", "match", {"request": {"n": 1}}),
        ("r0", "no_match", {"request": {"n": 2}}),
        ("r0", "no_match", {}),
    ]


def test_includes_are_named_from_the_top_of_all_policies():
    policy = read_policy("dir/p.yaml", file_of(ALWAYS, includes=["a.yaml", "./sub/../b.yaml", "../c.yaml"]))
    assert [name for name, _ in policy.includes] == ["dir/a.yaml", "dir/b.yaml", "c.yaml"]


def test_a_policy_needs_no_version_and_rules_inherit():
    policy = read_policy(
        "p", file_of(ALWAYS, {"conditions": [], "priority": 7}, priority=5, tier="mandatory", mode="shadow")
    )
    assert [(rule.priority, rule.tier, rule.mode) for rule in policy.rules] == [
        (5, "mandatory", "shadow"),
        (7, "mandatory", "shadow"),
    ]


def test_a_rule_whose_expression_reads_the_answer_judges_it():
    (rule,) = read_policy("p", file_of({"when": "any(response.tool_calls, t: t == 'shell')"})).rules
    assert rule.phase == "response"


@pytest.mark.parametrize("key", ["combining", "evaluation"])
def test_how_rules_combine_is_said_on_the_policy(key):
    for way in ("first-terminal", "first-match"):
        (rule,) = read_policy("p.yaml", file_of(ALWAYS, **{key: way})).rules
        assert rule.combining == way
