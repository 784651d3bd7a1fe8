"""Actions are read as what they say."""

from jupiter_addons.policy.load import load
from jupiter_addons.policy.nodes import Field
from jupiter_addons.policy.rules import Allow, Deny, Log, Tag


def actions(text: str):
    data = f'mpl_version: "1.0"\nname: p\nvariables: {{who: sales}}\nrules:\n  - {{name: r, conditions: [], actions: [{text}]}}\n'
    (rule,) = load({"p": data.encode()}).rules
    return rule.actions


def test_each_kind():
    assert actions("{type: allow}") == (Allow(),)
    assert actions("{type: deny, message: no}") == (Deny(("no",), "policy_denied", 403),)
    assert actions("{type: log, message: x}") == (Log("info", ("x",)),)
    assert actions("{type: log, level: critical, message: x}")[0].level == "error"
    assert actions("{type: tag, key: k}") == (Tag("k", ("true",)),)


def test_a_message_is_a_template():
    (deny,) = actions("{type: deny, message: 'not {{ request.model }} for {{ variables.who }}'}")
    before, field, *rest = deny.message
    assert (before, rest) == ("not ", [" for ", "sales"])
    assert isinstance(field, Field)
    assert field.steps == ("request", "model")
