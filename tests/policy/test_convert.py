"""The older form is rewritten without loss, or not at all."""

import pytest
import yaml

from jupiter_addons.errors import ConfigError
from jupiter_addons.policy.convert import convert
from jupiter_addons.policy.load import load

OLD = """
version: "1.0"
policies:
  - name: no-gpt-4
    priority: 200
    condition: request.model == "gpt-4" and request.metadata.user_role != "admin"
    action: deny
    reason: admins only
    log_level: warn
    log_message: "a try"
    metadata: {team: ml, tries: 1}
  - name: hours
    enabled: false
    rules:
      - condition: (time.hour < 9 or time.hour >= 17)
        action: block
        message: closed
      - name: rest
        action: allow
"""


def test_rules_mean_the_same():
    rules = yaml.safe_load(convert(OLD))["rules"]
    assert rules[0] == {
        "name": "no-gpt-4",
        "priority": 200,
        "when": 'request.model == "gpt-4" and request.metadata.user_role != "admin"',
        "actions": [
            {"type": "log", "level": "warn", "message": "a try"},
            {"type": "tag", "key": "team", "value": "ml"},
            {"type": "tag", "key": "tries", "value": "1"},
            {"type": "deny", "message": "admins only"},
        ],
    }
    assert [(rule["name"], rule["enabled"], rule["when"]) for rule in rules[1:]] == [
        ("hours-1", False, "(time.hour < 9 or time.hour >= 17)"),
        ("rest", False, True),
    ]


def test_what_is_written_is_read_again():
    (rule,) = load({"p.yaml": convert(OLD).encode()}).rules
    assert (rule.name, rule.priority, rule.denies) == ("no-gpt-4", 200, True)


@pytest.mark.parametrize(
    ("rule", "actions"),
    [
        ("action: route\n    provider: a\n    model: b", [{"type": "route", "provider": "a", "model": "b"}]),
        ("action: modify\n    set: {temperature: 0}", [{"type": "modify", "field": "request.temperature", "value": 0}]),
        ("action: redact\n    pattern: 'a+'", [{"type": "redact", "fields": ["request.messages"], "method": "mask", "pattern": "a+"}]),
        ("action: log", [{"type": "log", "level": "info", "message": "{{ request.model }}"}]),
    ],
)  # fmt: skip
def test_actions_have_counterparts(rule, actions):
    assert yaml.safe_load(convert(f"policies:\n  - name: x\n    {rule}\n"))["rules"][0]["actions"] == actions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: []", "a file of the older form has a list under `policies`"),
        ("policies: []", "a file of the older form has a list under `policies`"),
        ("policies: [7]", "a policy is a mapping, not a number"),
        ("policies: [{name: x, action: dney}]", "the action `dney` has no counterpart; hint: did you mean `deny`?"),
        ("policies: [{name: x, action: deny, provider: y}]", "unknown key `provider` in a rule with `deny`"),
        ("policies: [{name: x, action: deny, metadata: 7}]", "`metadata` is a mapping"),
        ("policies: [{name: x}]", "`action` is required"),
        ("policies: [{action: deny}]", "`name` is required"),
        ("policies: [{name: x, rules: [7]}]", "a rule is a mapping, not a number"),
        ("policies: [", "not valid YAML"),
    ],
)
def test_what_would_be_lost_is_a_problem(text, said):
    with pytest.raises(ConfigError) as caught:
        convert(text)
    assert said in str(caught.value)
