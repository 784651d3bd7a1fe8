"""A policy set knows its phases."""

import pytest

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


@pytest.mark.parametrize(
    ("conditions", "action", "waits"),
    [
        ("", "{type: redact, fields: [response.content], pattern: x}", False),
        (
            "{field: request.model, operator: ==, value: m}",
            "{type: redact, fields: [response.content], pattern: x}",
            False,
        ),
        ("{field: response.content, operator: contains, value: m}", "{type: redact, fields: [response.content]}", True),
        ("{not: {any: [{field: response.model, operator: exists}]}}", "{type: tag, key: k}", True),
        ("{function: lower, args: [request.model], operator: ==, value: m}", "{type: tag, key: k}", True),
        ("{field: processing.token_estimate.total_tokens, operator: '>', value: 1}", "{type: tag, key: k}", False),
        ("", "{type: deny, message: x}", True),
        ("", "{type: log, message: '{{ response.model }}'}", True),
        ("", "{type: tag, key: k, value_from: response.model}", True),
    ],
)
def test_a_rule_waits_for_the_answer_if_it_reads_it(conditions, action, waits):
    text = f'mpl_version: "1.0"\nname: p\nphase: response\nrules:\n  - {{name: r, conditions: [{conditions}], actions: [{action}]}}\n'
    assert load({"p": text.encode()}).waits_for_answer is waits
