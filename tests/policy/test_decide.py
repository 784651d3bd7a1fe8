"""Order, tiers, defaults, and what a decision carries."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.policy.decide import evaluate
from jupiter_addons.policy.effects import AlertLine, By, Demand, Redaction, Setting
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


def decide(*rules: str, default="allow", facts=None, phase="request", exceeded=None, combining="first-terminal"):
    policies = load({"p": f'mpl_version: "1.0"\nname: p\nrules:\n{"".join(rules)}'.encode()}, default=default)
    policies = replace(policies, rules=tuple(replace(one, combining=combining) for one in policies.rules))
    facts = {"model": "gpt-5", "metadata": {"x": "text"}} if facts is None else facts
    return evaluate(
        policies,
        indexed(policies.in_phase(phase)),
        {"request": lambda: facts, "response": lambda: {"content": "x"}},
        phase,
        call_id="c-1",
        exceeded=exceeded,
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


RATE = "{type: rate_limit, key: 'u-{{ request.model }}', limit: 2, window: 1m}"
BUDGET = (
    "{type: budget, key: k, limit: 0.5, window: daily, budget_type: cost, message: 'no money for {{ request.model }}'}"
)
SCORE, LIMIT_OF_5 = "{type: score, add: 3}", "{type: threshold, score: 5, message: risky, code: too_risky}"


def test_limits_are_demands_and_nothing_is_counted():
    decision = decide(rule("r", RATE), rule("b", BUDGET, extra=", tier: mandatory"), rule("a", ALLOW))
    assert (decision.verdict, decision.rule, decision.id) == ("allow", "a", "c-1")
    assert decision.demands == (
        Demand(By("p", "b", mandatory=True), "cost", "k", 500_000_000, 86_400),
        Demand(By("p", "r"), "requests", "u-gpt-5", 2, 60),
    )


def test_a_demand_that_cannot_be_met_denies_where_its_rule_stands():
    rules = (rule("r", RATE), rule("b", BUDGET), rule("a", ALLOW))
    first = decide(*rules)
    denied = decide(*rules, exceeded={first.demands[1]: 7.5})
    assert (denied.verdict, denied.rule, denied.code, denied.status) == ("deny", "b", "budget_exceeded", 429)
    assert (denied.message, denied.retry_after_s, denied.over_limit) == ("no money for gpt-5", 7.5, True)
    assert [(fired.rule, fired.verdict) for fired in denied.fired] == [("r", "note"), ("b", "deny")]
    both = decide(*rules, exceeded=dict.fromkeys(first.demands, 1.0))
    assert (both.rule, both.code, both.message) == (
        "r",
        "rate_limited",
        "the limit of 2 requests per minute is reached",
    )


def test_a_limit_that_is_no_number_cannot_be_kept_to_and_denies():
    text = "{type: rate_limit, key: k, limit: '{{ request.metadata.x }}', window: 1m}"
    denied = decide(rule("r", text))
    assert (denied.verdict, denied.code, denied.errors) == ("deny", "rate_limited", ("p/r",))
    assert decide(rule("r", text), facts={"metadata": {"x": 4}}).demands[0].limit == 4


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_threshold_denies_wherever_it_stands(at):
    rules = [rule("one", SCORE), rule("two", SCORE)]
    rules.insert(at, rule("t", LIMIT_OF_5))
    decision = decide(*rules)
    assert (decision.verdict, decision.rule, decision.code, decision.score) == ("deny", "t", "too_risky", 6)


def test_below_its_threshold_a_score_is_only_told():
    decision = decide(rule("one", SCORE), rule("t", LIMIT_OF_5))
    assert (decision.verdict, decision.score) == ("allow", 3)


def test_effects_come_in_order_with_their_rule():
    decision = decide(
        rule("m", "{type: modify, field: request.max_tokens, value: '{{ request.metadata.cap }}'}"),
        rule("r", "{type: redact, fields: [request.prompt]}", extra=", tier: mandatory"),
        rule("s", "{type: modify, field: request.n, value: 9}", extra=", mode: shadow"),
        rule("d", f"{DENY}, {{type: alert, webhook: 'https://a.example/', message: 'by {{{{ request.model }}}}'}}"),
        facts={"model": "gpt-5", "metadata": {"cap": 7}},
    )
    redaction, setting, alert = decision.effects
    assert isinstance(redaction, Redaction) and redaction.by.mandatory
    assert setting == Setting(By("p", "m"), "request.max_tokens", 7)
    assert alert == AlertLine(By("p", "d"), "by gpt-5", "https://a.example/", "medium")
    assert [fired.rule for fired in decision.shadow] == ["s"]


def test_of_a_rule_that_cannot_be_evaluated_only_what_protects_is_done():
    everything = (
        f"{RATE}, {{type: redact, fields: [request.prompt]}}, {{type: tag, key: t}}, {{type: route, model: m}}, {ALLOW}"
    )
    decision = decide(rule("u", everything, SURPRISED), rule("d", DENY))
    assert (decision.verdict, decision.rule, decision.tags) == ("deny", "d", ())
    assert [type(effect) for effect in decision.effects] == [Redaction]
    assert len(decision.demands) == 1


def test_first_match_stops_at_the_first_rule_of_its_policy():
    rules = (rule("s", DENY, extra=", mode: shadow"), rule("l", LOG), rule("d", DENY))
    decision = decide(*rules, combining="first-match")
    assert (decision.verdict, [fired.rule for fired in decision.fired]) == ("allow", ["s", "l"])
    assert decide(*rules).verdict == "deny"


@pytest.mark.parametrize(
    ("x", "verdict"), [("text", "deny"), (3, "allow"), (9, "deny")], ids=["unknown", "met", "not-met"]
)
def test_in_a_first_match_policy_a_rule_that_may_not_have_matched_disarms_none_behind_it(x, verdict):
    """Whoever can make a detector give up could otherwise pick the rule that counts."""
    rules = (rule("s", "{type: score, add: 1}", SURPRISED), rule("d", DENY))
    decision = decide(*rules, combining="first-match", facts={"metadata": {"x": x}})
    assert (decision.verdict, decision.score) == (verdict, 0 if x == 9 else 1)


@pytest.mark.parametrize("value", ["'{{ processing.risk_score }}'", "'at {{ processing.risk_score }}'"])
def test_what_a_field_is_set_to_and_cannot_be_worked_out_takes_no_cap_away(value):
    decision = decide(rule("m", f"{{type: modify, field: request.user, value: {value}}}"))
    assert (decision.verdict, decision.rule, decision.errors, decision.effects) == ("deny", "m", ("p/m",), ())


def test_an_allow_notes_its_message():
    assert decide(rule("a", "{type: allow, message: 'fine, {{ request.model }}'}")).message == "fine, gpt-5"


@given(st.integers(0, 2**32))
def test_the_order_of_files_never_changes_what_the_mandatory_tier_says(seed):
    dice = random.Random(seed)
    files = {}
    for number in range(4):
        rules = "".join(
            rule(f"r{n}", dice.choice([ALLOW, DENY, LOG, SCORE, LIMIT_OF_5]), f"{{field: request.model, operator: ==, value: {dice.choice(['gpt-5', 'other'])}}}",
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
