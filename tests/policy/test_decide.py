"""Order, tiers, defaults, and what a decision carries."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.index import indexed
from jupiter_addons.policy.load import load

ALLOW, DENY, LOG = (
    "{type: allow}",
    "{type: deny, message: no}",
    "{type: log, level: warn, message: 'saw {{ request.model }}'}",
)
SURPRISED = "{field: request.metadata.x, operator: <, value: 5}"


def rule(name: str, actions: str, conditions: str = "", extra: str = "") -> str:
    return f"  - {{name: {name}, conditions: [{conditions}], actions: [{actions}]{extra}}}\n"


def decide(*rules: str, default="allow", facts=None, phase="request"):
    policies = load({"p": f'mpl_version: "1.0"\nname: p\nrules:\n{"".join(rules)}'.encode()}, default=default)
    facts = {"model": "gpt-5", "metadata": {"x": "text"}} if facts is None else facts
    return evaluate(
        policies,
        indexed(policies.in_phase(phase)),
        {"request": lambda: facts, "response": lambda: {"content": "x"}},
        phase,
    )


@pytest.mark.parametrize(
    ("rules", "verdict", "by"),
    [
        ([rule("d", DENY), rule("a", ALLOW)], "deny", "d"),
        ([rule("a", ALLOW), rule("d", DENY)], "allow", "a"),
        ([rule("a", ALLOW), rule("d", DENY, extra=", priority: 200")], "deny", "d"),
        ([rule("l", LOG), rule("d", DENY)], "deny", "d"),
        ([rule("d", DENY, "{field: request.model, operator: ==, value: other}")], "allow", None),
        ([rule("d", DENY, extra=", mode: shadow")], "allow", None),
        ([rule("a", ALLOW), rule("d", DENY, extra=", tier: mandatory")], "deny", "d"),
        ([rule("a", ALLOW, extra=", tier: mandatory"), rule("d", DENY)], "deny", "d"),
        ([rule("a", ALLOW, extra=", tier: mandatory, priority: 900"), rule("d", DENY, extra=", tier: mandatory")], "deny", "d"),
        ([rule("d", DENY, SURPRISED)], "deny", "d"),
        ([rule("a", ALLOW, SURPRISED), rule("d", DENY)], "deny", "d"),
        ([rule("l", LOG, SURPRISED)], "allow", None),
    ],
    ids=["first", "first-allow", "priority", "log-goes-on", "no-match", "shadow", "mandatory-first", "mandatory-allow-ends-nothing",
         "mandatory-deny-overrides", "unknown-denies", "unknown-does-not-allow", "unknown-does-not-log"],
)  # fmt: skip
def test_who_decides(rules, verdict, by):
    decision = decide(*rules)
    assert (decision.verdict, decision.rule) == (verdict, by)


def test_without_a_match_the_default_holds():
    assert decide(rule("l", LOG)).verdict == "allow"
    denied = decide(rule("l", LOG), default="deny")
    assert (denied.verdict, denied.code, denied.status, denied.rule) == ("deny", "policy_denied", 403, None)


def test_the_default_is_about_requests():
    only_response = rule("d", DENY, "{field: response.content, operator: ==, value: other}")
    assert decide(only_response, default="deny", phase="response").verdict == "allow"


def test_a_denial_speaks_the_authors_words():
    decision = decide(
        rule("d", "{type: deny, message: 'no {{ request.model }}{{ request.n }}', code: not_here, status: 451}")
    )
    assert (decision.message, decision.code, decision.status) == ("no gpt-5", "not_here", 451)


def test_client_text_in_a_message_is_bounded_and_one_line():
    decision = decide(rule("d", "{type: deny, message: '{{ request.model }}'}"), facts={"model": "a\nb\t" + "x" * 999})
    assert decision.message is not None
    assert "\n" not in decision.message
    assert len(decision.message) <= 200


def test_logs_and_tags_accumulate_until_the_end():
    decision = decide(
        rule("one", f"{LOG}, {{type: tag, key: a, value: '1'}}"),
        rule("two", "{type: tag, key: b}, {type: tag, key: a, value: '{{ request.model }}'}"),
        rule("three", DENY),
        rule("four", LOG),
    )
    assert decision.tags == (("a", "gpt-5"), ("b", "true"))
    assert [(line.level, line.message) for line in decision.logs] == [("warning", "saw gpt-5")]
    assert [(fired.rule, fired.verdict) for fired in decision.fired] == [
        ("one", "note"),
        ("two", "note"),
        ("three", "deny"),
    ]


def test_shadow_rules_are_reported_and_do_nothing():
    decision = decide(rule("s", f"{DENY}, {{type: tag, key: x}}", extra=", mode: shadow"), rule("a", ALLOW))
    assert (decision.verdict, decision.tags) == ("allow", ())
    assert [(fired.rule, fired.mode) for fired in decision.fired] == [("s", "shadow"), ("a", "enforce")]


def test_what_could_not_be_evaluated_is_named():
    assert decide(rule("d", DENY, SURPRISED)).errors == ("p/d",)


@given(st.integers(0, 2**32))
def test_the_order_of_files_never_changes_what_the_mandatory_tier_says(seed):
    dice = random.Random(seed)
    files = {}
    for number in range(4):
        rules = "".join(
            rule(f"r{n}", dice.choice([ALLOW, DENY, LOG]), f"{{field: request.model, operator: ==, value: {dice.choice(['gpt-5', 'other'])}}}",
                 f", tier: mandatory, priority: {dice.randint(1, 3)}")
            for n in range(3)
        )  # fmt: skip
        files[number] = f'mpl_version: "1.0"\nname: p{number}\nrules:\n{rules}'.encode()
    verdicts = set()
    for _ in range(4):
        names = dice.sample("abcd", 4)
        policies = load({name: files[number] for number, name in enumerate(names)})
        verdicts.add(
            evaluate(policies, indexed(policies.rules), {"request": lambda: {"model": "gpt-5"}}, "request").verdict
        )
    assert len(verdicts) == 1
