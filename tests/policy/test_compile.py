"""The compiler and the index against the interpreter: the same rules met, in the same order, with the same doubt."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.conditions import CONDITIONS, JSON, REQUESTS, TEXT, met, rules_of
from support.random_policies import FACTS_A_POLICY, disagreements

from jupiter_addons.policy import patterns
from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.facts import Lazy
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.interpret import Evaluation, interpreted

EQUALITIES = st.builds(
    lambda name, operator, value: {"field": f"request.metadata.{name}", "operator": operator, "value": value},
    st.sampled_from("ab"), st.just("=="), TEXT,
) | st.builds(
    lambda name, values: {"field": f"request.metadata.{name}", "operator": "in", "value": values},
    st.sampled_from("ab"), st.lists(TEXT, max_size=3),
)  # fmt: skip
RULES = st.lists(st.lists(EQUALITIES | CONDITIONS, min_size=1, max_size=3), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(RULES, st.lists(REQUESTS, min_size=1, max_size=4), st.sampled_from([None, "r0", "r1"]))
def test_all_evaluators_agree(conditions, requests, last):
    rules = rules_of(*conditions)
    oracle = interpreted(rules)
    for request in requests:
        expected = met(oracle, request, last)
        assert met(compiled(rules), request, last) == expected
        assert met(indexed(rules, least=1), request, last) == expected


@settings(max_examples=200, deadline=None)
@given(RULES, st.lists(REQUESTS, min_size=1, max_size=4), st.sampled_from([None, "r0", "r1"]))
def test_they_agree_on_what_many_rules_ask(conditions, requests, last):
    """What is asked again keeps its answer, and may be asked the other way round."""
    rules = rules_of(*conditions, *([{"not": one}] for each in conditions for one in each), *conditions)
    for request in requests:
        assert met(compiled(rules), request, last) == met(interpreted(rules), request, last)


def test_values_that_python_takes_for_equal_are_asked_for_apart():
    """1, 1.0 and true have one hash."""
    rules = rules_of(*(
        [{"field": "request.metadata.a", "operator": operator, "value": value}]
        for operator in ("==", "!=") for value in (1, 1.0, True, "1", 1, True)
    ))  # fmt: skip
    for value in (1, 1.0, True, "1", 2, None):
        request = {"metadata": {"a": value}}
        assert met(compiled(rules), request) == met(interpreted(rules), request)


@given(JSON, JSON, st.sampled_from(["==", "!=", "in", "not_in", "contains"]))
def test_they_agree_on_any_pair_of_values(actual, wanted, operator):
    value = [wanted] if operator in ("in", "not_in") else "x" if operator == "contains" and wanted is None else wanted
    rules = rules_of({"field": "request.metadata.a", "operator": operator, "value": value})
    request = {"metadata": {"a": actual}}
    assert met(compiled(rules), request) == met(interpreted(rules), request)


def test_no_text_of_a_policy_is_source():
    """What would end a string, a line or a call if it were written into the source is a constant like any other."""
    for hostile in ('")', "'''", "\\", "\n    raise SystemExit", "{v}", "K0", "__import__('os')"):
        rules = rules_of({"field": "request.model", "operator": "==", "value": hostile})
        assert met(compiled(rules), {"model": hostile}) == [("r0", True)]


def test_twenty_thousand_pairs_of_rules_and_facts_find_no_evaluator_that_differs(monkeypatch):
    """More with `python tests/policy/differential.py`.  What is met has to vary, or nothing would have been tried."""
    met_, wrong = [], []
    for seed in range(20_000 // FACTS_A_POLICY):
        monkeypatch.setattr(patterns, "GATE_FROM", 1 if seed % 2 else 4)
        for expected, found in disagreements(seed):
            met_ += [truth for _, truth in expected]
            wrong += found
    assert wrong == []
    assert met_.count(True) > 1000
    assert met_.count(None) > 1000


def test_a_costly_field_is_worked_out_only_where_it_is_needed():
    asked = []
    rules = rules_of(
        [{"field": "request.n", "operator": "==", "value": 1}, {"field": "processing.risk_score", "operator": ">", "value": 5}],
        [{"field": "processing.risk_score", "operator": ">", "value": 7}, {"field": "request.n", "operator": "==", "value": 1}],
    )  # fmt: skip

    def consult(n, rules):
        asked.clear()
        facts = {"request": lambda: {"n": n}, "processing": lambda: {"risk_score": Lazy(lambda: asked.append(n) or 9)}}
        compiled(rules)(Evaluation(facts), lambda rule, truth: False)
        return asked

    assert consult(2, rules[:1]) == []
    assert consult(1, rules) == [1]


def test_a_costly_field_that_fails_makes_rules_unknown():
    rules = rules_of(
        {"field": "processing.risk_score", "operator": ">", "value": 5},
        {"function": "has_pii", "args": ["request.text"]},
    )
    facts = {"request": lambda: {"text": "x"}, "processing": lambda: {"risk_score": Lazy(lambda: 1 // 0)}}
    found = []
    evaluation = Evaluation(facts)
    compiled(rules)(evaluation, lambda rule, truth: found.append((rule.name, truth)))
    assert found == [("r0", None), ("r1", None)]
    assert list(evaluation.faults) == ["processing.risk_score"]


def test_a_function_is_worked_out_only_where_it_is_needed():
    asked = []
    rules = rules_of(
        [{"field": "request.n", "operator": "==", "value": 1},
         {"function": "lower", "args": ["context.user_id"], "operator": "==", "value": "a"}],
    )  # fmt: skip

    def consult(n):
        asked.clear()
        facts = {"request": lambda: {"n": n}, "context": lambda: asked.append("context") or {"user_id": "A"}}
        compiled(rules)(Evaluation(facts), lambda rule, truth: False)
        return asked

    assert consult(2) == []
    assert consult(1) == ["context"]
