"""The compiler and the index against the interpreter: the same rules met, in the same order, with the same doubt."""

from hypothesis import given, settings
from hypothesis import strategies as st
from support.conditions import CONDITIONS, JSON, REQUESTS, TEXT, met, rules_of

from jupiter_addons.policy.compile import compiled
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


@settings(max_examples=1500, deadline=None)
@given(RULES, st.lists(REQUESTS, min_size=1, max_size=4), st.sampled_from([None, "r0", "r1"]))
def test_all_evaluators_agree(conditions, requests, last):
    rules = rules_of(*conditions)
    oracle = interpreted(rules)
    for request in requests:
        expected = met(oracle, request, last)
        assert met(compiled(rules), request, last) == expected
        assert met(indexed(rules, least=1), request, last) == expected


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
