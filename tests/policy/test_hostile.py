"""What nobody means well by: texts and files that should break something, and do not."""

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.decide import MAX_TEXT_CHARS, evaluate
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.load import load

HEAD = {"mpl_version": "1.0", "name": "p"}
ALLOW_ALL = {"name": "r", "conditions": [], "actions": [{"type": "allow"}]}
WORDS = [
    "mpl_version",
    "name",
    "rules",
    "conditions",
    "actions",
    "type",
    "field",
    "operator",
    "value",
    "all",
    "not",
    "args",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=9)
DOCUMENTS = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(WORDS), below, max_size=4),
    max_leaves=12,
)


def decide(condition: dict, request: object, action: dict | None = None, default="allow"):
    deny = {"type": "deny", "message": "{{ request.metadata.x }}"}
    rules = [{"name": "r", "conditions": [condition] if condition else [], "actions": [action or deny]}]
    policies = load({"p": json.dumps({**HEAD, "rules": rules}).encode()}, default=default)
    return evaluate(policies, indexed(policies.rules), {"request": lambda: request}, "request")


def test_half_a_surrogate_pair_cannot_be_searched_so_a_denial_holds():
    decision = decide(
        {"field": "request.metadata.x", "operator": "matches", "value": "a"}, {"metadata": {"x": "b\ud800"}}
    )
    assert (decision.verdict, decision.errors) == ("deny", ("p/r",))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x1b[31m\u202eb\r\nc\ud800", "a [31m b c"), (True, "true"), (None, ""), (1.5, "1.5"), (["a", 1, None], "a, 1, "),
        ({"a": [1]}, '{"a": [1]}'), ("x" * 5000, "x" * (MAX_TEXT_CHARS - 1) + "…"), (["y"] * 9999, None), (10**80, str(10**80)),
    ],
    ids=repr,
)  # fmt: skip
def test_a_value_is_shown_in_one_bounded_printable_line(value, shown):
    message = decide({}, {"metadata": {"x": value}}).message
    assert message is not None
    assert len(message) <= MAX_TEXT_CHARS
    assert message.isprintable()
    assert shown is None or message == shown.strip()


@pytest.mark.parametrize(
    "request_facts", [None, [], "text", 7, {"metadata": []}, {"metadata": {"x": {}}}, {"messages": {}}]
)
@pytest.mark.parametrize("path", ["request.metadata.x", "request.messages[*].content", "request.messages[-1].role"])
@pytest.mark.parametrize("operator", ["==", "contains", "in", "exists"])
def test_facts_of_any_shape_get_an_answer(request_facts, path, operator):
    value = {"in": ["a"], "exists": True}.get(operator, "a")
    assert decide({"field": path, "operator": operator, "value": value}, request_facts).verdict in ("allow", "deny")


MESSAGES = [{"role": f"r{n}", "content": f"c{n}", "name": f"n{n}"} for n in range(1000)]
MANY = {"messages": MESSAGES, "metadata": {name: [f"{name}{n}" for n in range(20_000)] for name in "ab"}}
NESTED = {"messages": [], "metadata": {name: [[name, n] for n in range(1000)] for name in "ab"}}


@pytest.mark.parametrize(
    ("condition", "request_facts", "met"),
    [
        ("any(request.messages, a: any(request.messages, b: a.name == b.content))", MANY, None),
        ("any(request.messages, a: a.name == 'x' or a.role == 'x')", MANY, False),
        ("request.messages[*].name == request.messages[*].content", MANY, None),
        ("contains(request.metadata.a, request.metadata.b)", MANY, False),
        ("contains(request.metadata.a, request.metadata.a)", MANY, True),
        ("contains(request.metadata.a, request.metadata.b)", NESTED, None),
        ("contains(request.metadata.a, ['x', 1, null, 'a19999'])", MANY, True),
    ],
)
def test_no_body_makes_a_condition_take_long_and_what_was_not_looked_at_denies(condition, request_facts, met):
    rules = [{"name": "r", "when": condition, "actions": [{"type": "deny", "message": "no"}]}]
    policies = load({"p": json.dumps({**HEAD, "rules": rules}).encode()})
    started = time.process_time()
    decision = evaluate(policies, indexed(policies.rules), {"request": lambda: request_facts}, "request")
    assert time.process_time() - started < 1
    assert (decision.verdict, decision.errors) == ("allow" if met is False else "deny", ("p/r",) if met is None else ())


def test_a_detector_is_not_asked_about_more_texts_than_it_can_look_through():
    class Detectors:
        def pii(self, text):
            return []

    rules = [{"name": "r", "when": "pii(request.metadata.a)", "actions": [{"type": "deny", "message": "no"}]}]
    policies = load({"p": json.dumps({**HEAD, "rules": rules}).encode()})
    for most, verdict in ((5_000, "allow"), (20_000, "deny")):
        facts = {"request": lambda most=most: {"metadata": {"a": ["x"] * most}}, "detect": Detectors}
        assert evaluate(policies, indexed(policies.rules), facts, "request").verdict == verdict


def test_a_mapping_is_equal_all_the_way_down():
    condition = {"field": "request.metadata.x", "operator": "==", "value": {"a": [1, {"b": True}]}}
    for found, equal in [
        ({"a": [1.0, {"b": True}]}, True), ({"a": [1, {"b": 1}]}, False), ({"a": [True, {"b": True}]}, False),
        ({"c": [1, {"b": True}]}, False), ({"a": [1, {"b": True}], "c": None}, False),
    ]:  # fmt: skip
        assert (decide(condition, {"metadata": {"x": found}}).verdict == "deny") is equal, found


@pytest.mark.parametrize(
    ("default", "tier", "rule"),
    [("deny", "mandatory", "r"), ("allow", "mandatory", "r"), ("deny", "normal", "r")],
)
def test_an_allow_comes_before_the_default(default, tier, rule):
    policies = load({"p": json.dumps({**HEAD, "tier": tier, "rules": [ALLOW_ALL]}).encode()}, default=default)
    decision = evaluate(policies, indexed(policies.rules), {}, "request")
    assert (decision.verdict, decision.rule) == ("allow", rule)


def test_thousands_of_problems_are_found_in_seconds_and_each_fits_a_line():
    keys = {f"rulez{number}\n\x1b" + "k" * 400: 1 for number in range(2000)}
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load({"p": json.dumps({**HEAD, **keys, "rules": []}).encode()})
    assert time.process_time() - started < 4
    assert len(caught.value.problems) == 2001
    assert all(str(problem).isprintable() and len(str(problem)) < 800 for problem in caught.value.problems)


def test_one_mistake_on_the_policy_is_told_once():
    rules = [{"name": f"r{n}", "conditions": [], "actions": [{"type": "allow"}]} for n in range(5)]
    with pytest.raises(ConfigError) as caught:
        load({"p": json.dumps({**HEAD, "mode": "on", "rules": rules}).encode()})
    assert len(caught.value.problems) == 1


def test_a_file_name_that_is_not_text_has_a_digest():
    assert load({"\udcff": json.dumps({**HEAD, "rules": [ALLOW_ALL]}).encode()}).digest


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_of_a_client_changes_what_a_rule_means(text):
    condition = {"field": "request.metadata.x", "operator": "==", "value": "secret"}
    assert (decide(condition, {"metadata": {"x": text}}).verdict == "deny") is (text == "secret")


@settings(deadline=None)
@given(DOCUMENTS)
def test_any_document_is_a_policy_or_a_list_of_problems(document):
    base = {**HEAD, "rules": [{"name": "r", "conditions": [document], "actions": [document]}, document]}
    for data in (json.dumps(document), json.dumps(base)):
        with contextlib.suppress(ConfigError):
            load({"p": data.encode()})
