"""What is wrong with a policy is said all at once, with its place."""

import itertools
import re
import time

import pytest

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.load import load

RULE = "  - name: r\n    conditions: []\n    actions: [{type: allow}]\n"
HEAD = 'mpl_version: "1.0"\nname: p\n'


def policy(rules: str = RULE, head: str = HEAD) -> bytes:
    return f"{head}rules:\n{rules}".encode()


def condition(text: str) -> bytes:
    return policy(f"  - name: r\n    conditions: [{text}]\n    actions: [{{type: allow}}]\n")


def action(text: str) -> bytes:
    return policy(f"  - name: r\n    conditions: []\n    actions: [{text}]\n")


def problems(data: bytes) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load({"p.yaml": data})
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[]", "p.yaml:1:1: a policy file is a mapping, not a list"),
        (b"name: p\nrules: []", 'p.yaml:1:1: `mpl_version: "1.0"` is required; hint: quote it: it is not a number'),
        (policy(head='mpl_version: "1.0"\n'), "p.yaml:1:1: `name` is required"),
        (policy(head=HEAD + "ruels: []\n"), "p.yaml:3:1: unknown key `ruels` in a policy; hint: did you mean `rules`?"),
        (HEAD.encode(), "p.yaml:1:1: a policy needs a list of at least one rule under `rules`"),
        (policy(RULE + RULE), "p.yaml:7:5: rule `r` is defined twice; the first is in line 4"),
        (policy(head=HEAD + "mode: enforced\n"), "p.yaml:3:7: `mode` is enforce or shadow or off"),
        (policy(head=HEAD + "priority: high\n"), "p.yaml:3:11: `priority` is a whole number; higher comes first"),
        (policy(head=HEAD + "variables: [1]\n"), "p.yaml:3:12: `variables` is a mapping, not a list"),
        (policy("  - conditions: []\n    actions: [{type: allow}]\n"), "p.yaml:4:5: `name` is required"),
        (
            policy("  - name: r\n    actions: [{type: allow}]\n"),
            "p.yaml:4:5: a rule needs `conditions`; hint: write `conditions: []` for a rule that always matches",
        ),
        (policy("  - name: r\n    conditions: []\n"), "p.yaml:4:5: a rule needs a list of at least one action under `actions`"),
        (condition("{field: request.modle, operator: ==, value: x}"), "unknown field `request.modle`; hint: did you mean `request.model`?"),
        (condition("{field: request.model, operator: =, value: x}"), "unknown operator `=`; hint: did you mean `==`?"),
        (condition("{field: request.model, operator: ==, value: 7}"), "p.yaml:5:62: a string can never equal 7"),
        (condition('{field: request.n, operator: ==, value: "7"}'), "a number can never equal '7'"),
        (condition("{field: request.stream, operator: ==, value: 1}"), "a boolean can never equal 1"),
        (condition("{field: request.model, operator: <, value: 7}"), "`<` does not take a string on its left"),
        (condition("{field: request.n, operator: <, value: x}"), "`<` compares with a number"),
        (condition("{field: request.model, operator: in, value: x}"), "`in` takes a list"),
        (condition("{field: request.model, operator: in, value: [x, 7]}"), "`7` in the list can never equal a string"),
        (condition("{field: request.model, operator: matches, value: '(a'}"), "not a valid RE2 expression: missing ): (a"),
        (condition("{field: request.model, operator: matches, value: '(?=a)'}"), "not a valid RE2 expression"),
        (condition("{field: request.model, operator: ==}"), "`==` needs a `value`"),
        (condition("{field: request.model}"), "`operator` is required"),
        (condition("{field: 7, operator: ==, value: 7}"), "`field` is a path, not a number"),
        (condition("{field: 'request..model', operator: exists}"), "`request..model` is not a field path"),
        (condition("{feild: request.model}"), "a condition has `field`, `function`, `all`, `any` or `not`; hint: did you mean `field`?"),
        (condition("{all: []}"), "`all` is a list of at least one condition"),
        (condition("{not: [{all: []}, {all: []}]}"), "`not` takes one condition"),
        (condition("{function: random}"), "there is no function `random`; hint: a decision can be replayed"),
        (condition("{function: length, args: [request.text]}"), "unknown function `length`"),
        (condition("{function: len, args: []}"), "`len` takes 1 argument"),
        (condition("{field: request.model, operator: ==, value: '{{ variables.x }}'}"), "there is no variable `variables.x`"),
        (condition("{field: request.model, operator: ==, value: '{{ request.n }}'}"), "a string can never equal a number"),
        (condition("{field: request.model, operator: ==, value: 'x-{{ request.n }}'}"), "there is no variable `request.n`"),
        (condition("{when: 'request.n > 1'}"), "a condition has `field`, `function`, `all`, `any` or `not`"),
        (action("{type: redact, fields: [x]}"), "unknown field `x`"),
        (action("{type: denny, message: x}"), "unknown action `denny`; hint: did you mean `deny`?"),
        (action("{type: deny}"), "a `deny` action needs a `message`: it is what the client is told"),
        (action("{type: deny, message: x, code: not_ready}"), "`not_ready` cannot be a rule's code"),
        (action("{type: deny, message: x, code: 'Not Good'}"), "`Not Good` cannot be a rule's code"),
        (action("{type: deny, message: x, status: 200}"), "`status` is a number from 400 to 499"),
        (action("{type: deny, message: '{{ request.modle }}'}"), "unknown field `request.modle`"),
        (action("{type: allow}, {type: deny, message: x}"), "a rule allows or denies once"),
        (action("{type: log, level: loud, message: x}"), "unknown level `loud`"),
        (action("{type: allow, code: x}"), "unknown key `code` in a `allow` action"),
        (
            policy("  - name: r\n    phase: request\n    conditions: [{field: response.model, operator: exists}]\n    actions: [{type: allow}]\n"),
            "a request rule cannot read `response` fields: there is no response yet",
        ),
        (b"name: \xff", "p.yaml: the file is not UTF-8 at byte 6"),
        (b"a: [", "p.yaml:1:5: not valid YAML"),
        (b"a: 1\na: 2", "p.yaml:2:1: `a` is given twice; the first is in line 1"),
        (b"a: !!python/object:os.system x", "the tag `tag:yaml.org,2002:python/object:os.system` is not allowed"),
        (b"&a [*a]", "p.yaml:1:1: the file is nested deeper than 32 levels"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_a_problem_is_told_with_its_place(data, said):
    assert any(said in problem for problem in problems(data)), problems(data)


def test_all_problems_of_all_files_come_at_once():
    bad = condition("{field: request.modle, operator: '=', value: x}, {field: request.n, operator: <, value: x}")
    with pytest.raises(ConfigError) as caught:
        load({"a.yaml": bad, "b.yaml": bad})
    assert [problem.file for problem in caught.value.problems] == ["a.yaml", "a.yaml", "b.yaml", "b.yaml"]


def test_an_alias_bomb_is_defused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert "larger than" in problems("\n".join(lines).encode())[0]


def test_rules_are_in_one_order_over_all_files():
    def rules(*names_and_keys: str) -> bytes:
        return policy(
            "".join(
                f"  - {{name: {n}, conditions: [], actions: [{{type: allow}}]{k}}}\n"
                for n, _, k in (x.partition("|") for x in names_and_keys)
            )
        )

    loaded = load(
        {
            "b.yaml": rules("b1", "b2|, priority: 200", "b3|, tier: mandatory, priority: 1"),
            "a.yaml": rules("a1", "a2|, priority: 5", "off|, enabled: false", "off2|, mode: 'off'"),
        }
    )
    assert [rule.name for rule in loaded.rules] == ["b3", "b2", "a1", "b1", "a2"]


def test_the_digest_is_that_of_the_files():
    assert load({"a": policy()}).digest == load({"a": policy()}).digest
    assert load({"a": policy()}).digest != load({"b": policy()}).digest != load({"b": policy() + b"\n"}).digest


def test_no_files_are_no_rules():
    assert load({}).rules == ()


def including(*paths: str) -> bytes:
    return policy(head=f"{HEAD}includes: [{', '.join(paths)}]\n")


def test_included_files_have_to_be_there_and_do_not_include_one_another():
    assert (
        len(
            load(
                {"a/m.yaml": including("n.yaml", "../b.yaml"), "a/n.yaml": including("../b.yaml"), "b.yaml": policy()}
            ).rules
        )
        == 3
    )
    with pytest.raises(
        ConfigError, match=r"m.yaml:3:12: `n.yaml` is not among the policy files; hint: `policy.file_path`"
    ):
        load({"m.yaml": including("n.yaml")})
    with pytest.raises(ConfigError) as caught:
        load({"a": including("b"), "b": including("c"), "c": including("a"), "d": including("d")})
    assert [str(problem) for problem in caught.value.problems] == [
        "a:3:12: files include one another; hint: a -> b -> c -> a",
        "b:3:12: files include one another; hint: b -> c -> a -> b",
        "c:3:12: files include one another; hint: c -> a -> b -> c",
        "d:3:12: files include one another; hint: d -> d",
    ]


def searching(expressions: list[str], name: str = "r") -> bytes:
    rules = (
        f"  - name: {name}-{n}\n    conditions: [{{field: request.prompt, operator: matches, value: '{text}'}}]\n    actions: [{{type: allow}}]\n"
        for n, text in enumerate(expressions)
    )
    return policy("".join(rules))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("\\pL{{90}}x{{{}}}", "a class such as `\\pL` counts as hundreds"),
        ("\\pL{{8}}x{{{}}}", "the expressions of all rules together are too large"),
        ("a.{{60}}z{{{}}}", "`.{60}` counts from too many places at once"),
    ],
)
def test_however_large_expressions_are_they_are_loaded_or_refused_in_two_seconds(form, said):
    """Usually one; the measure is CPU time, of a machine that others use."""
    started = time.process_time()
    with pytest.raises(ConfigError, match=re.escape(said)):
        load({"p.yaml": searching([form.format(n) for n in range(2, 202)])})
    assert time.process_time() - started < 2


def test_all_files_together_have_one_allowance_for_expressions():
    files = {f"{n}.yaml": searching([f"a.{{9}}y{{{n}}}x{{{m}}}" for m in range(2, 37)]) for n in (2, 3, 4)}
    with pytest.raises(ConfigError, match="all rules together") as caught:
        load(files)
    assert {problem.file for problem in caught.value.problems} == {"4.yaml"}
    assert len(load({"4.yaml": files["4.yaml"]}).rules) == 35
