"""Fields, values and templates: read as what they say, or refused."""

import ast
import time
from pathlib import Path

import pytest

from jupiter_addons import policy
from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.load import load

HEAD = 'mpl_version: "1.0"\nname: p\nvariables: {models: [gpt-5, o3], cap: 5, on: true, map: {a: 1}, deep: [["{{ variables.cap }}"], "{{ variables.who }}!"], who: sales}\n'

MODEL_IS = "{field: request.model, operator: ==, value: %s}"


def rule(condition: str = "", action: str = "{type: allow}", head: str = HEAD):
    text = f"{head}rules:\n  - name: r\n    conditions: [{condition}]\n    actions: [{action}]\n"
    return load({"p.yaml": text.encode()}).rules[0]


def value(text: str):
    return rule(f"{{field: request.metadata.x, operator: ==, value: {text}}}").condition.conditions[0].value


def message(text: str):
    return "".join(map(str, rule(action=f"{{type: deny, message: {text}}}").actions[0].message))


def problem(condition: str = "", action: str = "{type: allow}", head: str = HEAD) -> str:
    with pytest.raises(ConfigError) as caught:
        rule(condition, action, head)
    (only,) = caught.value.problems
    return str(only)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("'{{ variables.cap }}'", 5), ("'{{variables.on}}'", True), ("' {{ variables.models }} '", ["gpt-5", "o3"]),
        ("['{{ variables.cap }}', x]", [5, "x"]), ("'{{ variables.who }}-{{ variables.cap }}'", "sales-5"),
        ("'{{ variables.models }}!'", "gpt-5, o3!"), ("'{ }}'", "{ }}"), ("no", "no"),
        ("12:30", "12:30"), ("2026-01-01", "2026-01-01"), ("'{{ variables.map.a }}'", 1), ("'{{ variables.deep }}'", [[5], "sales!"]),
    ],
)  # fmt: skip
def test_a_variable_keeps_its_type_when_it_is_alone(written, read):
    found = value(written)
    assert (found, type(found)) == (read, type(read))


def test_variables_in_a_message_are_printed():
    assert message("'{{ variables.who }}: {{ variables.models }}, {{ variables.on }}'") == "sales: gpt-5, o3, true"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("provider.selected.region", "there is no field `provider.selected.region`; hint: it is chosen after"),
        (
            "request.headers.authorization",
            "there is no field `request.headers.authorization`; hint: of headers, rules read",
        ),
        ("rate_limit.weekly", "unknown field `rate_limit.weekly`"),
        ("'request.messages[0].nmae'", "unknown field `request.messages[0].nmae`"),
        ("'request.messages[type]'", "is not a field path"),
        ("request.metadata", "unknown field `request.metadata`"),
        ("'request.model\\n'", "is not a field path"),
        ("''", "is not a field path"),
    ],
)
def test_what_is_not_published_is_no_field(field, said):
    assert said in problem(f"{{field: {field}, operator: exists}}")


@pytest.mark.parametrize(
    ("condition", "action", "said"),
    [
        (MODEL_IS % "'{{ variables.who }'", "{type: allow}", "p.yaml:6:62: a `{{` has no `}}`"),
        ("", "{type: deny, message: 'no {{ request.model'}", "a `{{` has no `}}`"),
        ("", "{type: deny, message: '{{ variables.map }}'}", "`variables.map` is a mapping and cannot stand inside text"),
        ("", "{type: deny, message: ''}", "`message` is text, not empty"),
        ("", "{type: tag, key: k, value: 7}", "`value` is text, not a number"),
        ("", "{type: deny, message: '{{ upper(request.model) }}'}", "`upper(request.model)` is not a field path"),
        ("", "{type: deny, message: '{{ len(request.n) }}'}", "unknown field `request.n.length`"),
        (MODEL_IS % "'{{ variables.modles }}'", "{type: allow}", "hint: did you mean `models`?"),
    ],
)  # fmt: skip
def test_braces_mean_something_or_are_refused(condition, action, said):
    assert said in problem(condition, action)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ("{a: '{{ variables.c }}', b: 1}", "p.yaml:3:16: there is no variable `variables.c`"),
        ("{a: '{{ request.n }}'}", "there is no variable `request.n`"),
        (
            "{a: '{{ variables.b }}', b: 'x{{ variables.c }}', c: ['{{ variables.a }}']}",
            "variable `a` holds itself; hint: a -> b -> c -> a",
        ),
        ("{a: null}", "variable `a` has no value"),
        ("{a-b: 1}", "`a-b` cannot be the name of a variable"),
    ],
)
def test_a_variable_is_a_value_that_does_not_hold_itself(variables, said):
    assert said in problem(head=f'mpl_version: "1.0"\nname: p\nvariables: {variables}\n')


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("{function: lower, args: [request.n], operator: ==, value: x}", "p.yaml:6:43: `lower` does not take a number here"),
        ("{function: len, args: [request.stream], operator: ==, value: 1}", "`len` does not take a boolean here"),
        ("{function: len, args: [{function: len, args: [request.text]}], operator: ==, value: 1}", "a number here"),
        ("{function: contains, args: [request.text, null]}", "`contains` does not take a null here"),
        ("{function: len, args: [{field: request.text}]}", "unknown key `field` in an argument"),
        ("{field: request.model, operator: contains, value: 7}", "`contains` on a string does not take a number"),
        ("{field: request.tools, operator: contains, value: null}", "`contains` on a list does not take a null"),
    ],
)  # fmt: skip
def test_what_would_be_unknown_on_every_request_is_refused(condition, said):
    with pytest.raises(ConfigError) as caught:
        rule(condition)
    assert said in str(caught.value)


def test_a_function_takes_a_function():
    found = rule("{function: len, args: [{function: lower, args: [request.model]}], operator: '>', value: 3}")
    assert found.condition.conditions[0].subject.arguments[0].name == "lower"


def test_a_field_can_be_the_value():
    """Of a field and a template that is a field as a whole a comparison is made for each request."""
    related = rule(
        "{field: request.metadata.spent, operator: '>=', value: '{{ request.metadata.limit }}'}"
    ).condition.conditions[0]
    assert (related.left.text, related.operator, related.right.text) == (
        "request.metadata.spent",
        ">=",
        "request.metadata.limit",
    )
    sized = rule("{field: request.n, operator: <, value: '{{ len(request.tools) }}'}").condition.conditions[0]
    assert sized.right.text == "request.tools.length"


def test_a_message_can_hold_lengths_and_parts():
    parts = (
        rule(action="{type: deny, message: '{{ len(request.tools) }} {{ request.messages[*].content[*].type }}'}")
        .actions[0]
        .message
    )
    assert [part if isinstance(part, str) else part.text for part in parts] == [
        "request.tools.length", " ", "request.messages[*].parts[*].type",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "one", ["['{{ variables.v%d }}', '{{ variables.v%d }}']", "'{{ variables.v%d }}{{ variables.v%d }}'"]
)
def test_variables_that_grow_without_end_are_refused_in_no_time(one):
    variables = ", ".join(["v0: [xxxxxxxx]", *(f"v{n}: {one % (n - 1, n - 1)}" for n in range(1, 60))])
    started = time.process_time()
    with pytest.raises(ConfigError):
        rule(head=f'mpl_version: "1.0"\nname: p\nvariables: {{{variables}}}\n')
    assert time.process_time() - started < 4


def test_a_long_template_takes_no_longer_than_its_length():
    started = time.process_time()
    with pytest.raises(ConfigError):
        rule(action="{type: deny, message: '{{" + " " * 200_000 + "'}")
    assert time.process_time() - started < 1.0


def test_only_our_own_patterns_reach_re():
    for path in Path(policy.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
                assert isinstance(node.args[0], ast.Constant), f"{path.name}: {ast.unparse(node)}"
