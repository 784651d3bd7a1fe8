"""Random conditions and requests that fit them more often than chance, and what rules made of them come to."""

import json

from hypothesis import strategies as st

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.interpret import Evaluation
from jupiter_addons.policy.load import load

TEXT = st.text(alphabet="aAb1é", max_size=3)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 1.5, 2.0**53, 1e300]), TEXT
)
SCALARS |= st.sampled_from([2**53, 2**53 + 1])
JSON = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXT, below, max_size=2), max_leaves=6
)
PATHS = st.sampled_from(
    [f"request.metadata.{end}" for end in ("a", "b", "a[0]", "a[-1]", "a[*]", "b[*].c", "a[*][*]", "b.c")]
)


@st.composite
def comparisons(draw, subject):
    operator = draw(st.sampled_from([
        "==", "!=", "<", ">=", "contains", "not_contains", "contains_any", "matches", "not_matches", "starts_with",
        "not_ends_with", "in", "not_in", "exists",
    ]))  # fmt: skip
    values = {
        "<": st.integers(-2, 2), ">=": st.sampled_from([0.5, 1, 1.0]), "contains": JSON.filter(lambda v: v is not None),
        "matches": st.sampled_from(["a", "^a", "b$", "(?i)AB", "a.?b"]), "starts_with": TEXT, "exists": st.booleans(),
        "not_contains": JSON.filter(lambda v: v is not None), "not_matches": st.just("a.?b"), "not_ends_with": TEXT,
        "contains_any": st.lists(JSON, min_size=1, max_size=3),
        "in": st.lists(JSON, max_size=3), "not_in": st.lists(JSON, max_size=3),
    }  # fmt: skip
    return {**subject, "operator": operator, "value": draw(values.get(operator, JSON))}


@st.composite
def functions(draw):
    name, path = draw(st.sampled_from(["len", "lower", "upper", "contains"])), draw(PATHS)
    rest = [draw(TEXT | st.lists(TEXT | st.integers(0, 2), max_size=2))] if name == "contains" else []
    value = {"len": st.integers(0, 3), "contains": st.booleans()}.get(name, TEXT)
    return {
        "function": name,
        "args": [path, *rest],
        "operator": draw(st.sampled_from(["==", "!="])),
        "value": draw(value),
    }


LEAVES = PATHS.flatmap(lambda path: comparisons({"field": path})) | functions()
CONDITIONS = st.recursive(
    LEAVES,
    lambda below: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(below, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(below, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, below),
    ),
    max_leaves=5,
)
REQUESTS = st.fixed_dictionaries(
    {"metadata": st.dictionaries(st.sampled_from("ab"), JSON | st.lists(JSON | st.fixed_dictionaries({"c": JSON})))}
)


def file_of(*rules, **policy):
    """A policy file with rules that allow, unless they say otherwise."""
    named = [{"name": f"r{number}", "actions": [{"type": "allow"}], **rule} for number, rule in enumerate(rules)]
    return json.dumps({"mpl_version": "1.0", "name": "p", **policy, "rules": named}).encode()


def condition_of(when, **policy):
    """What an expression is read as."""
    (rule,) = load({"p": file_of({"when": when}, **policy)}).rules
    only = rule.condition.conditions
    return only[0] if len(only) == 1 else rule.condition


def rules_of(*conditions):
    rules = [
        {"name": f"r{number}", "conditions": [condition] if isinstance(condition, dict) else condition}
        | {"actions": [{"type": "deny", "message": "no"}]}
        for number, condition in enumerate(conditions)
    ]
    return load({"p": json.dumps({"mpl_version": "1.0", "name": "p", "rules": rules}).encode()}).rules


def problem_of(condition):
    """The one thing that is wrong with a condition."""
    try:
        rules_of(condition)
    except ConfigError as error:
        (only,) = error.problems
        return str(only)
    raise AssertionError(f"{condition} has loaded")


def met(consult, request, last=None):
    """What was met, as far as `last`."""
    found = []

    def fire(rule, truth):
        found.append((rule.name, truth))
        return rule.name == last

    consult(Evaluation({"request": lambda: request, "context": lambda: None, "processing": lambda: None}), fire)
    return found
