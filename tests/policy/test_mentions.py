"""Whether any rule reads what a user has taken."""

import pytest

from jupiter_addons.policy.load import load
from jupiter_addons.policy.mentions import mentions_usage


def mentioned(rule: str) -> bool:
    text = f'mpl_version: "1.0"\nname: p\nrules:\n  - name: r\n{rule}'
    return mentions_usage(load({"p.yaml": text.encode()}, default="allow"))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            "    conditions: [{field: context.user_attributes.daily_cost, operator: '>', value: 5}]\n    actions: [{type: deny, message: m}]\n",
            True,
        ),
        (
            "    conditions: [{field: rate_limit.hourly, operator: '>', value: 5}]\n    actions: [{type: deny, message: m}]\n",
            True,
        ),
        (
            "    conditions: [{field: request.model, operator: ==, value: m}]\n    actions: [{type: tag, key: k, value: '{{ context.user_attributes.requests_today }}'}]\n",
            True,
        ),
        (
            "    conditions: [{field: context.user_attributes.tier, operator: ==, value: gold}]\n    actions: [{type: deny, message: m}]\n",
            False,
        ),
        (
            "    conditions: [{field: request.model, operator: ==, value: m}]\n    actions: [{type: deny, message: m}]\n",
            False,
        ),
        (
            "    conditions: [{all: [{not: {field: context.user_attributes.monthly_token_usage, operator: '<', value: 5}}]}]\n    actions: [{type: deny, message: m}]\n",
            True,
        ),
    ],
    ids=["condition", "alias", "template", "another attribute", "nothing", "deep"],
)
def test_usage_is_found_wherever_it_is_read(rule: str, expected: bool):
    assert mentioned(rule) is expected
