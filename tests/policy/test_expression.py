"""One-line conditions: what cannot be read is said at its place, YAML's traps included."""

import time

import pytest

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.expression import MAX_CHARS
from jupiter_addons.policy.load import load
from jupiter_addons.policy.nodes import Every, Some
from jupiter_addons.policy.trees import MAX_DEPTH

HEAD = 'mpl_version: "1.0"\nname: p\nrules:\n  - name: r\n    actions: [{type: allow}]\n'
QUOTE = "hint: YAML reads some characters in its own way: quote the expression, or write it below `when: |`"


def problem(when: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load({"p": f"{HEAD}    when: {when}\n".encode()})
    return str(caught.value.problems[0])


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("request.n > ", "p:6:22: the expression ends too early"),
        ("request.n = 1", "p:6:21: `=` is not expected here; hint: `==` compares"),
        ("request.n & 1", "p:6:21: `&` is not expected here; hint: write `and`"),
        ("request.user is null", "p:6:24: `is` is not expected here; hint: write `== null`"),
        ("1 < request.n < 5", "p:6:25: `<` is not expected here; hint: comparisons do not chain"),
        ("request.modle == 'x'", "p:6:11: unknown field `request.modle`; hint: did you mean `request.model`?"),
        ("request.n == 1 and request.modle == 'x'", "p:6:30: unknown field `request.modle`"),
        ("'request.n == 1 and request.user == ''x'' and request.modle == 1'", "p:6:57: unknown field `request.modle`"),
        ("|\n      request.n == 1\n      and request.modle == 1", "p:8:11: unknown field `request.modle`"),
        ('"request.user == \\"x\\" and request.modle == 1"', "p:6:38: unknown field `request.modle`"),
        ("request.user contains 'x", "p:6:33: the text that begins here has no end"),
        ("request.user contains ' #'", f"p:6:33: the text that begins here has no end; {QUOTE}"),
        ("request.user == # nobody", f"p:6:26: the expression ends too early; {QUOTE}"),
        ("[request.user] == 1", QUOTE),
        ("[request.n > 1]", f"p:6:11: an expression is text, not a list; {QUOTE}"),
        ("!request.stream", QUOTE),
        ("{{ variables.x }} == 1", QUOTE),
        ('"a" == request.user', QUOTE),
        ("request.user == 'a: b': c", QUOTE),
        ("7", f"p:6:11: an expression is text, not a number; {QUOTE}"),
        ("''", "p:6:11: the expression ends too early"),
    ],
)  # fmt: skip
def test_a_problem_is_told_at_its_place(when, said):
    assert said in problem(when)


def test_a_comment_behind_an_expression_is_one():
    assert load({"p": f"{HEAD}    when: request.n > 1   # or two\n".encode()}).rules


@pytest.mark.parametrize(("when", "read"), [("true", Every(())), ("false", Every((Some(()),)))])
def test_truth_stands_by_itself(when, read):
    (rule,) = load({"p": f"{HEAD}    when: {when}\n".encode()}).rules
    assert rule.condition == read


@pytest.mark.parametrize(
    "text",
    ["(" * 30_000, "(" * 30_000 + "true" + ")" * 30_000, "not " * 16_000 + "true", "-" * 60_000 + "1 == 1", "a.b" + "[0]" * 20_000 + " == 1",
     "1 == 1" + " and 1 == 1" * 5_000, "request.metadata" + ".a" * 30_000 + " == 1", "1" * 60_000 + " == 1",
     "x" * (MAX_CHARS + 1), "f(" * 20_000, "1 == " + "[" * 20_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_what_is_too_large_or_too_deep_is_refused_in_time(text):
    """Seconds of CPU, for what no author writes: the parser is linear, what walks its result is bounded."""
    started = time.process_time()
    if text.startswith("((") and text.endswith("))"):
        load({"p": f"{HEAD}    when: |\n      {text}\n".encode()})  # parentheses leave nothing behind
    else:
        problem(f"|\n      {text}")
    assert time.process_time() - started < 8


def test_expressions_nest_as_deep_as_is_said():
    deep = f"{'not (' * (MAX_DEPTH - 1)}request.stream{')' * (MAX_DEPTH - 1)}"
    assert load({"p": f"{HEAD}    when: {deep}\n".encode()}).rules
    assert "nested deeper" in problem(f"not ({deep})")
