"""What conditions mean: absence, surprises, no conversion."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.interpret import Evaluation
from jupiter_addons.policy.load import load
from jupiter_addons.policy.operators import same

FACTS = {
    "model": "gpt-4o",
    "n": 2,
    "stream": True,
    "temperature": 1.0,
    "tools": ["search", "shell"],
    "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "my IBAN"}],
    "metadata": {"level": 3, "flag": True, "name": "x", "list": [1, "a"]},
}


def truth(text: str, facts: dict | None = None):
    rule = f'mpl_version: "1.0"\nname: p\nvariables: {{big: [gpt-4o, o1], cap: 5}}\nrules:\n  - name: r\n    conditions: [{text}]\n    actions: [{{type: log, message: x}}]\n'
    (loaded,) = load({"p": rule.encode()}).rules
    return Evaluation({"request": lambda: FACTS if facts is None else facts}).truth(loaded.condition)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{field: request.model, operator: ==, value: gpt-4o}", True),
        ("{field: request.model, operator: ==, value: GPT-4o}", False),
        ("{field: request.model, operator: in, value: '{{ variables.big }}'}", True),
        ("{field: request.model, operator: not_in, value: [a, b]}", True),
        ("{field: request.model, operator: matches, value: '^gpt-\\d'}", True),
        ("{field: request.model, operator: matches, value: '4'}", True),
        ("{field: request.model, operator: starts_with, value: gpt}", True),
        ("{field: request.model, operator: ends_with, value: gpt}", False),
        ("{field: request.model, operator: contains, value: t-4}", True),
        ("{field: request.temperature, operator: ==, value: 1}", True),
        ("{field: request.n, operator: <, value: '{{ variables.cap }}'}", True),
        ("{field: request.n, operator: '>=', value: 2.0}", True),
        ("{field: request.tools, operator: contains, value: shell}", True),
        ("{field: request.tools, operator: contains, value: [x, shell]}", True),
        ("{field: request.tools, operator: '==', value: [search, shell]}", True),
        ("{field: 'request.messages[-1].content', operator: contains, value: IBAN}", True),
        ("{field: 'request.messages[0].role', operator: ==, value: system}", True),
        ("{field: 'request.messages[9].role', operator: ==, value: null}", True),
        ("{field: 'request.messages[*].role', operator: ==, value: user}", True),
        ("{field: 'request.messages[*].role', operator: ==, value: tool}", False),
        ("{field: 'request.tools[0]', operator: ==, value: search}", True),
        ("{function: len, args: [request.messages], operator: '>', value: 1}", True),
        ("{function: lower, args: [request.model], operator: ==, value: gpt-4o}", True),
        ("{function: upper, args: [request.model], operator: ==, value: GPT-4O}", True),
        ("{function: contains, args: [request.tools, shell]}", True),
        (
            "{all: [{field: request.n, operator: ==, value: 2}, {field: request.stream, operator: ==, value: true}]}",
            True,
        ),
        (
            "{any: [{field: request.n, operator: ==, value: 9}, {field: request.stream, operator: ==, value: true}]}",
            True,
        ),
        ("{not: {field: request.n, operator: ==, value: 9}}", True),
        ("{not: [{field: request.n, operator: ==, value: 2}]}", False),
    ],
)
def test_operators(text, expected):
    assert truth(text) is expected


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("==", "x", False), ("==", "null", True), ("'!='", "x", True), ("'!='", "null", False),
        ("contains", "x", False), ("matches", "x", False), ("starts_with", "x", False), ("ends_with", "x", False),
        ("in", "[x]", False), ("not_in", "[x]", False), ("exists", "true", False), ("exists", "false", True),
    ],
)  # fmt: skip
def test_absence_is_null(operator, value, expected):
    """`not_in` and `<` on what is not there are false, as is `==`; only `!=` and `not` say otherwise."""
    assert truth(f"{{field: request.model, operator: {operator}, value: {value}}}", {}) is expected


def test_a_comparison_with_an_absent_number_is_false_either_way():
    assert truth("{field: request.n, operator: <, value: 5}", {}) is False
    assert truth("{field: request.n, operator: '>=', value: 5}", {}) is False
    assert truth("{not: {field: request.n, operator: <, value: 5}}", {}) is True


@pytest.mark.parametrize(
    "text",
    [
        "{field: request.metadata.name, operator: <, value: 5}",
        "{field: request.metadata.flag, operator: <, value: 5}",
        "{field: request.metadata.level, operator: matches, value: x}",
        "{field: request.metadata.level, operator: contains, value: x}",
        "{field: request.metadata.list, operator: starts_with, value: x}",
        "{field: request.metadata.name, operator: contains, value: 5}",
        "{function: lower, args: [request.metadata.level], operator: ==, value: x}",
        "{function: len, args: [request.metadata.level], operator: ==, value: 1}",
        "{not: {field: request.metadata.name, operator: <, value: 5}}",
    ],
)
def test_a_surprise_is_unknown(text):
    assert truth(text) is None


SURPRISE = "{field: request.metadata.name, operator: <, value: 5}"
YES = "{field: request.n, operator: ==, value: 2}"
NO = "{field: request.n, operator: ==, value: 3}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{{all: [{SURPRISE}, {NO}]}}", False), (f"{{all: [{NO}, {SURPRISE}]}}", False), (f"{{all: [{SURPRISE}, {YES}]}}", None),
        (f"{{any: [{SURPRISE}, {YES}]}}", True), (f"{{any: [{SURPRISE}, {NO}]}}", None), (f"{{not: {SURPRISE}}}", None),
    ],
)  # fmt: skip
def test_unknown_is_carried_on_as_kleene_says(text, expected):
    assert truth(text) is expected


@given(
    st.sampled_from([True, False, 0, 1, 1.0, "1", "", None, [1], [True], [1.0], "true"]),
    st.sampled_from([True, False, 0, 1, 1.0, "1", "", None, [1], [True]]),
)
def test_nothing_is_converted(left, right):
    def kind(value):
        return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)

    if kind(left) != kind(right):
        assert not same(left, right)
    assert same(left, right) == same(right, left)


def test_a_root_is_asked_once_and_only_if_it_is_read():
    asked = []

    def ask(root: str):
        asked.append(root)
        return {"model": "m", "n": 1}

    rule = b'mpl_version: "1.0"\nname: p\nrules:\n  - name: r\n    conditions: [{field: request.model, operator: ==, value: m}, {field: request.n, operator: ==, value: 1}]\n    actions: [{type: allow}]\n'
    (loaded,) = load({"p": rule}).rules
    evaluation = Evaluation({"request": lambda: ask("request"), "context": lambda: ask("context")})
    assert evaluation.truth(loaded.condition) is True
    assert asked == ["request"]
