"""The interpreter against a second, naive reading of the language that shares no code with it."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from support.conditions import CONDITIONS, REQUESTS

from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.interpret import Evaluation, interpreted
from jupiter_addons.policy.load import load

# -- the naive reading: conditions as they are written, facts as JSON --------------------------------------------------

BAD = "not a value"  # what a function of a wrong kind gives; no generated text equals it


def kind(value):
    if value is None or isinstance(value, bool):
        return type(value)
    return "number" if isinstance(value, (int, float)) else type(value)


def naive_same(a, b):
    if kind(a) != kind(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(naive_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return set(a) == set(b) and all(naive_same(a[k], b[k]) for k in a)
    return a == b


def naive_values(path, facts):
    """Every value a path leads to, and whether it asked for several."""
    found, several = [facts], False
    for step in re.findall(r"[\w-]+(?![^\[]*\])|\[[^\]]*\]", path):
        if step == "[*]":
            if not several and not isinstance(found[0], list):
                return [None], False
            found, several = [x for v in found for x in (v if isinstance(v, list) else [])], True
        elif step.startswith("["):
            at = int(step[1:-1])
            found = [v[at] if isinstance(v, list) and -len(v) <= at < len(v) else None for v in found]
        else:
            found = [v.get(step) if isinstance(v, dict) else None for v in found]
    return found, several


def naive_contains(a, b):
    if isinstance(a, str):
        return b in a if isinstance(b, str) else BAD
    if not isinstance(a, list):
        return BAD
    return any(naive_same(x, y) for x in a for y in (b if isinstance(b, list) else [b]))


def naive_operator(name, a, b):
    if a is BAD:
        return None
    if name in ("==", "!="):
        return naive_same(a, b) is (name == "==")
    if name == "exists":
        return (a is not None) is b
    if a is None:
        return False
    if name.startswith("not_"):
        found = naive_operator(name.removeprefix("not_"), a, b)
        return None if found is None else not found
    if name == "contains_any" and isinstance(a, str):
        return kleene([naive_operator("contains", a, x) for x in b], True)
    if name == "contains_any":
        name = "contains"
    if name == "in":
        return any(naive_same(a, x) for x in b)
    if name == "contains":
        return None if naive_contains(a, b) is BAD else naive_contains(a, b)
    if name in ("<", ">", "<=", ">="):
        return None if kind(a) != "number" else {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[name]
    if not isinstance(a, str):
        return None
    return {"matches": bool(re.search(b, a)), "starts_with": a.startswith(b), "ends_with": a.endswith(b)}[name]


def naive_function(name, value, rest):
    if value is None:
        return None
    if name == "contains":
        return naive_contains(value, *rest)
    if name == "len":
        return len(value) if isinstance(value, (str, list)) else BAD
    return getattr(value, name)() if isinstance(value, str) else BAD


def kleene(truths, absorbing):
    if absorbing in truths:
        return absorbing
    return None if None in truths else not absorbing


def naive(condition, facts):
    match condition:
        case {"all": parts}:
            return kleene([naive(part, facts) for part in parts], False)
        case {"any": parts}:
            return kleene([naive(part, facts) for part in parts], True)
        case {"not": part}:
            return {True: False, False: True, None: None}[naive(part, facts)]
        case {"function": name, "args": [path, *rest]}:
            values, several = naive_values(path, facts)
            values = [len(values)] if several and name == "len" else [naive_function(name, v, rest) for v in values]
        case {"field": path}:
            values, several = naive_values(path, facts)
    truths = [naive_operator(condition["operator"], value, condition["value"]) for value in values]
    return kleene(truths, True) if several else truths[0]


def policy(condition, action):
    rules = [{"name": "r", "conditions": [condition], "actions": [action]}]
    return load({"p": json.dumps({"mpl_version": "1.0", "name": "p", "rules": rules}).encode()})


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, st.lists(REQUESTS, min_size=5, max_size=5))
def test_the_interpreter_agrees_with_the_naive_reading(condition, requests):
    policies = policy(condition, {"type": "deny", "message": "no"})
    for request in requests:
        expected = naive(condition, {"request": request})
        assert Evaluation({"request": lambda request=request: request}).truth(policies.rules[0].condition) is expected
        facts = {"request": lambda request=request: request}
        decision = evaluate(policies, interpreted(policies.rules), facts, "request")
        assert decision.verdict == ("allow" if expected is False else "deny")
        assert bool(decision.errors) is (expected is None)


@settings(max_examples=100, deadline=None)
@given(CONDITIONS, REQUESTS)
def test_what_cannot_be_known_never_allows(condition, request):
    decided = policy(condition, {"type": "allow"})
    expected = naive(condition, {"request": request})
    assert (evaluate(decided, interpreted(decided.rules), {"request": lambda: request}, "request").rule == "r") is (
        expected is True
    )
