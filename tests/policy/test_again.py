"""What rules say of a call that they have changed."""

import json
from dataclasses import replace

import pytest

from jupiter_addons.policy.again import compare, consulted
from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.load import load

DENY = {"type": "deny", "message": "no", "code": "closed"}
JOIN = {"type": "redact", "fields": ["request.messages"], "method": "remove", "pattern": "@@"}


def rule(name, word, *actions, **more):
    condition = {"field": "request.text", "operator": "contains", "value": word}
    return {"name": name, "conditions": [condition] if word else [], "actions": list(actions), **more}


def thoughts(rules, before, after):
    policies = load({"p": json.dumps({"mpl_version": "1.0", "name": "p", "rules": rules}).encode()})
    consult = indexed(policies.rules)
    first, second = (
        evaluate(policies, consult, {"request": lambda t=t: {"text": t}}, "request") for t in (before, after)
    )
    return compare(first, second, consulted(policies.rules, first))


def test_what_a_redaction_joins_is_denied():
    rules = [rule("join", "@@", JOIN), rule("deny", "password", DENY)]
    assert thoughts(rules, "pass@@word", "password").denies
    assert not thoughts(rules, "pass@@port", "passport").denies


def test_a_rule_behind_the_one_that_ended_evaluation_gets_no_turn():
    rules = [rule("join", "@@", JOIN), rule("pass", "@@", {"type": "allow"}), rule("rest", "", DENY)]
    assert not thoughts(rules, "a@@b", "ab").denies


def test_a_mandatory_allow_ends_nothing():
    rules = [
        rule("pass", "@@", {"type": "allow"}, tier="mandatory"),
        rule("join", "@@", JOIN),
        rule("deny", "ab", DENY),
    ]
    assert thoughts(rules, "a@@b", "ab").denies


def test_what_is_to_be_changed_now_is_new_and_what_was_is_not():
    other = {"type": "redact", "fields": ["request.messages"], "pattern": "secret"}
    rules = [rule("join", "@@", JOIN), rule("hide", "secret", other)]
    (effect,) = thoughts(rules, "sec@@ret", "secret").effects
    assert effect.by.rule == "hide"
    assert thoughts(rules, "secret @@", "secret ").effects == ()


@pytest.mark.parametrize("decided_by", [("p", "gone"), (None, None)])
def test_without_one_that_ended_it_every_rule_had_its_turn(decided_by):
    policies = load({"p": json.dumps({"mpl_version": "1.0", "name": "p", "rules": [rule("a", "x", DENY)]}).encode()})
    decision = evaluate(policies, indexed(policies.rules), {"request": lambda: {"text": "y"}}, "request")
    decision = replace(decision, policy=decided_by[0], rule=decided_by[1], tier="normal" if decided_by[0] else None)
    assert consulted(policies.rules, decision) == {("p", "a")}
