"""A policy set knows its phases."""

from jupiter_addons.policy.load import load

TWO = b"""
mpl_version: "1.0"
name: p
rules:
  - {name: asks, conditions: [], actions: [{type: deny, message: x}]}
  - {name: answers, conditions: [{field: response.content, operator: exists}], actions: [{type: allow}]}
"""


def test_a_rule_that_reads_the_answer_is_a_response_rule():
    policies = load({"p": TWO})
    assert [rule.name for rule in policies.in_phase("request")] == ["asks"]
    assert [rule.name for rule in policies.in_phase("response")] == ["answers"]
    assert policies.reads_response
    assert [rule.denies for rule in policies.rules] == [True, False]
