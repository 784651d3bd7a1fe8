"""Why a decision is what it is."""

import pytest
from support.conditions import condition_of, file_of

from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.explain import explain, fields_of, masked, written
from jupiter_addons.policy.facts import SURPRISE, Lazy, Many
from jupiter_addons.policy.interpret import interpreted
from jupiter_addons.policy.load import load

DENY, LOG = {"type": "deny", "message": "no"}, {"type": "log", "message": "x"}


def fails():
    raise OSError


FACTS = {
    "request": lambda: {"model": "gpt-5", "n": 3, "stream": False, "messages": [{"role": "user", "content": "hi"}]},
    "context": lambda: {"team": "hr"},
    "processing": lambda: {"risk_score": Lazy(fails)},
}


def why(*rules, **policy):
    return explain(load({"p.yaml": file_of(*rules, **policy)}), FACTS, "request")


def states(*rules, **policy):
    return [one.state for one in why(*rules, **policy).rules]


def test_rules_are_told_apart_by_what_became_of_them():
    assert states(
        {"when": "request.n == 4", "actions": [DENY]},
        {"when": "request.n == 3", "actions": [LOG]},
        {"when": "request.risk_score > 3", "actions": [LOG]},
        {"when": "request.n == 3", "actions": [DENY]},
        {"when": "request.n == 3", "actions": [DENY]},
    ) == ["not met", "fired", "unknown", "decided", "not consulted"]
    assert states(
        {"conditions": [], "actions": [LOG]}, {"conditions": [], "actions": [LOG]}, combining="first-match"
    ) == [
        "fired",
        "passed over",
    ]
    assert states({"when": "request.risk_score > 3", "actions": [DENY]}) == ["decided"]
    assert states({"conditions": [], "actions": [DENY], "mode": "shadow"}) == ["fired"]


def test_every_condition_has_its_value_operator_operand_result_and_place():
    (judged,) = why(
        {"when": 'request.n > 2 and not (context.team == "lab" or request.stream)', "actions": [DENY]}
    ).rules
    first, second = judged.steps
    assert (first.value, first.operator, first.operand, first.truth, first.text) == (
        "3",
        ">",
        "2",
        True,
        "request.n > 2",
    )
    assert (first.mark.line, first.mark.column > 1) == (1, True)
    assert (second.form, second.truth) == ("not", True)
    (either,) = second.parts
    assert [(part.text, part.value, part.truth) for part in either.parts] == [
        ('context.team == "lab"', '"hr"', False),
        ("request.stream", "false", False),
    ]


def test_conditions_behind_a_false_one_are_told_too():
    (judged,) = why({"when": "request.n == 9 and request.n == 3", "actions": [DENY]}).rules
    assert [step.truth for step in judged.steps] == [False, True]


def test_what_failed_is_unknown_and_named():
    found = why({"when": "request.risk_score > 3", "actions": [DENY]})
    assert (found.rules[0].steps[0].value, found.rules[0].truth) == ("unknown", None)
    assert found.decision.faults == ("processing.risk_score: OSError",)


def test_what_is_explained_is_what_is_decided():
    rules = [{"when": "request.n == 3", "actions": [LOG]}, {"when": 'context.team == "hr"', "actions": [DENY]}]
    policies = load({"p.yaml": file_of(*rules)})
    assert explain(policies, FACTS, "request").decision == evaluate(
        policies, interpreted(policies.rules), FACTS, "request"
    )


FLIPS = [
    ("request.n == 4", ["`request.n == 4` would have to be true (now 3)"]),
    ("request.n == 4 and request.stream", ["`request.n == 4` would have to be true (now 3)", "`request.stream` would have to be true (now false)"]),
    ("request.n == 4 or request.n == 5", ["one of: `request.n == 4` would have to be true (now 3); or `request.n == 5` would have to be true (now 3)"]),
    ("not (request.n == 3)", ["`request.n == 3` would have to be false (now 3)"]),
    ("not (request.n == 3 or request.stream)", ["`request.n == 3` would have to be false (now 3)"]),
    ("not (request.n == 3 and not request.stream)", ["one of: `request.n == 3` would have to be false (now 3); or `request.stream` would have to be true (now false)"]),
    ('context.team != "hr"', ['`context.team != "hr"` would have to be true (now "hr")']),
]  # fmt: skip


@pytest.mark.parametrize(("when", "flips"), FLIPS, ids=[when for when, _ in FLIPS])
def test_what_would_flip_a_rule_is_said(when, flips):
    assert list(why({"when": when, "actions": [DENY]}).nearest.flips) == flips


def test_the_nearest_miss_has_the_fewest_false_conditions_and_of_those_the_most_true_ones():
    far = {"name": "far", "when": "request.n == 4 and request.stream", "actions": [DENY]}
    near = {"name": "near", "when": "request.n == 4", "actions": [DENY]}
    nearer = {"name": "nearer", "when": 'request.n == 3 and request.model == "x"', "actions": [DENY]}
    shadow = {
        **nearer,
        "name": "shadow",
        "when": 'request.n == 3 and request.stream == false and request.model == "x"',
        "mode": "shadow",
    }
    assert why(far, near, nearer, shadow).nearest.rule.name == "nearer"
    assert why({"conditions": [], "actions": [LOG]}).nearest is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        ("a\nb", '"a\\nb"'),
        ("x" * 15 + " " + "y" * 80, '"' + "x" * 15 + " " + "y" * 42 + "…"),
        (SURPRISE, "unknown"),
        (Many([1, SURPRISE]), "[1, null]"),
        ({"a": [1]}, '{"a": [1]}'),
        ("my sk-proj-abcdefgh12345678 is", '"my [hidden] is"'),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.abc", '"Bearer [hidden]"'),
        ("jup_abcd_efghijklmnopqrstuvwxyz", '"[hidden]"'),
        ("AKIAIOSFODNN7EXAMPLE", '"[hidden]"'),
        ("a1b2c3d4e5f6a7b8c9d0e1f2", '"[hidden]"'),
        ("claude-3-5-sonnet-20241022", '"claude-3-5-sonnet-20241022"'),
        ("0197a5c2-7d1e-7cc3-98c4-dc0c0c07398f", '"0197a5c2-7d1e-7cc3-98c4-dc0c0c07398f"'),
        ("internationalization", '"internationalization"'),
    ],
)
def test_values_are_shown_in_few_words_and_secrets_never(value, shown):
    assert masked(value) == shown
    assert len(masked(value)) <= 60


def test_a_secret_is_not_shown_by_being_cut():
    assert "sk-" not in masked("x " * 25 + "sk-abcdefgh12345678")


WRITTEN = [
    'request.model in ["a", "b"] and not (request.n > 2 or request.stream)',
    'any(request.messages, m: m.role == "user")',
    'len(request.model) + request.n > 3',
    'request.model not matches "^x"',
    "exists(request.user)",
]  # fmt: skip


@pytest.mark.parametrize("when", WRITTEN)
def test_a_condition_is_printed_as_one_that_means_the_same(when):
    text = written(condition_of(when))
    assert written(condition_of(text)) == text


@pytest.mark.parametrize(
    ("when", "read"),
    [
        ("request.n > 2 and not request.stream", ["request.n", "request.stream"]),
        ("lower(request.model) == request.user", ["request.model", "request.user"]),
        ("request.n * 2 > request.max_tokens", ["request.n", "request.max_tokens"]),
        ("any(request.messages, m: m.role == request.user)", ["request.messages", "request.user"]),
    ],
)
def test_every_field_that_a_condition_reads_is_found(when, read):
    assert [field.text for field in fields_of(condition_of(when))] == read
