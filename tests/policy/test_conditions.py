"""No text of a policy reaches any engine but RE2."""

import ast
from pathlib import Path

import pytest

import jupiter_addons.policy.conditions as conditions
from jupiter_addons.policy.load import load

RULE = 'mpl_version: "1.0"\nname: p\nrules:\n  - name: r\n    conditions: [{{field: request.text, operator: matches, value: "{}"}}]\n    actions: [{{type: allow}}]\n'


def test_re_is_given_constants_only():
    for node in ast.walk(ast.parse(Path(conditions.__file__).read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("re."):
            assert isinstance(node.args[0], ast.Constant), ast.unparse(node)


def test_an_expression_that_explodes_elsewhere_does_not_here():
    (rule,) = load({"p": RULE.format("(a+)+$").encode()}).rules
    pattern = rule.condition.conditions[0].pattern
    assert pattern.search("a" * 50_000 + "b") is None


@pytest.mark.parametrize("depth", [9, 30])
def test_conditions_nest_only_so_deep(depth):
    from jupiter_addons.errors import ConfigError

    text = "{field: request.n, operator: exists}"
    for _ in range(depth):
        text = f"{{not: {text}}}"
    data = f'mpl_version: "1.0"\nname: p\nrules:\n  - {{name: r, conditions: [{text}], actions: [{{type: allow}}]}}\n'.encode()
    if depth < 10:
        load({"p": data})
    else:
        with pytest.raises(ConfigError):
            load({"p": data})
