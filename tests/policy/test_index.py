"""The index: fewer rules are consulted, in the same order.  That it agrees with the interpreter is in `test_compile`."""

import pytest
from support.conditions import met, rules_of

from jupiter_addons.policy import index
from jupiter_addons.policy.compile import compiled
from jupiter_addons.policy.index import indexed


@pytest.mark.parametrize("least", [1, 48])
def test_an_index_consults_in_the_order_of_the_rules(least):
    model = {"field": "request.model", "operator": "==", "value": "m"}
    any_model = {"field": "request.n", "operator": "exists", "value": True}
    other = {"field": "request.model", "operator": "in", "value": ["x", "y"]}
    rules = rules_of(model, any_model, other, model, *[other] * 60, model)
    consult = indexed(rules, least=least)
    assert [name for name, _ in met(consult, {"model": "m", "n": 1})] == ["r0", "r1", "r3", "r64"]
    assert [name for name, _ in met(consult, {"model": None, "n": 1})] == ["r1"]
    assert [name for name, _ in met(consult, {"model": 5, "n": 1})] == ["r1"]


def test_thousands_of_rules_are_not_copied_for_every_value(monkeypatch):
    """Ten values and a thousand rules for all of them: ten copies of the thousand would be too many."""
    common = [{"field": "request.n", "operator": "==", "value": number} for number in range(900)]
    each = [{"field": "request.model", "operator": "==", "value": f"m{number}"} for number in range(1000)]
    rules = rules_of(*common, *each)
    made = []

    def counting(chosen):
        made.append(len(chosen))
        return compiled(chosen)

    monkeypatch.setattr(index, "compiled", counting)
    consult = indexed(rules)
    assert sum(made) <= index.MOST_COPIES * len(rules)
    assert met(consult, {"n": 5, "model": "m7"}) == [("r5", True), ("r907", True)]
