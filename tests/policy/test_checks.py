"""Comparisons that can never be true are problems when a policy is loaded."""

import pytest
from support.conditions import problem_of, rules_of


@pytest.mark.parametrize(
    ("field", "operator", "value", "said"),
    [
        ("request.prompt", "contains_any", "x", "`contains_any` takes a list of at least one element"),
        ("request.prompt", "contains_any", [], "`contains_any` takes a list of at least one element"),
        ("request.prompt", "contains_any", ["x", 7], "`contains_any` on a string does not take a number"),
        ("request.n", "contains_any", ["x"], "`contains_any` does not take a number on its left"),
        ("request.n", "not_contains", "x", "`not_contains` does not take a number on its left"),
        ("request.model", "matches_regex", "(", "not a valid RE2 expression"),
        (
            "request.model",
            "matches_regexp",
            "a",
            "unknown operator `matches_regexp`; hint: did you mean `matches_regex`?",
        ),
        ("request.model", "matches", "{{ request.user }}", "what `matches` is given has to be written in the policy"),
        ("request.model", "exists", "{{ request.stream }}", "what `exists` is given has to be written in the policy"),
        ("request.model", "==", "{{ request.n }}", "a string can never equal a number"),
        ("request.n", "<", "{{ request.model }}", "`<` does not take a string on its right"),
        ("request.model", "in", "{{ request.user }}", "`in` does not take a string on its right"),
        ("request.model", "contains", "{{ request.n }}", "`contains` on a string does not take a number"),
        (
            "request.model",
            "==",
            "{{ request.modle }}",
            "unknown field `request.modle`; hint: did you mean `request.model`?",
        ),
        (
            "processing.content_analysis.sensitive_content.severity",
            "==",
            "hihg",
            "is never 'hihg': it is low, medium, high, critical",
        ),
        ("context.time.day_of_week", "in", ["Monday", "Sat"], "is never 'Sat': it is Monday,"),
        ("context.time.weekday", "==", "Monday", "a number can never equal 'Monday'"),
        ("request.metadata.x", "==", "{{ variables.x }}", "there is no variable `variables.x`"),
    ],
)
def test_what_can_never_hold_is_refused(field, operator, value, said):
    assert said in problem_of({"field": field, "operator": operator, "value": value})


@pytest.mark.parametrize(
    ("field", "operator", "value"),
    [
        ("request.model", "==", "{{ request.user }}"), ("request.model", "==", "{{ request.metadata.model }}"),
        ("request.max_tokens", "<=", "{{ processing.conversation_context.context_window }}"), ("request.model", "in", "{{ request.tools }}"),
        ("request.model", "in", "{{ request.metadata.models[*] }}"), ("request.prompt", "contains", "{{ request.user }}"),
        ("context.user_attributes.roles", "contains_any", ["a", "b"]), ("request.model", "!=", None), ("request.prompt", "contains_any", ["x"]),
        ("request.user", "not_starts_with", "svc-"), ("request.metadata.x", "==", {"a": [1]}), ("request.tools", "==", ["x"]),
    ],
)  # fmt: skip
def test_what_can_hold_is_taken(field, operator, value):
    assert rules_of({"field": field, "operator": operator, "value": value})
