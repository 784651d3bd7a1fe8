"""Calls: whether they fit, and what they are in fewer words."""

import pytest
from support.conditions import problem_of, rules_of

from jupiter_addons.policy.nodes import Apply, Compare, Field, Literally


def subject(name, *args, **rest):
    (rule,) = rules_of({"function": name, "args": list(args), **rest})
    (condition,) = rule.condition.conditions
    assert isinstance(condition, Compare)
    return condition.subject


def shown(found):
    match found:
        case Field():
            return found.text
        case Literally():
            return found.value
        case Apply():
            return (found.name, *map(shown, found.arguments))


PII, SENSITIVE = "processing.content_analysis.pii_detection", "processing.content_analysis.sensitive_content"


@pytest.mark.parametrize(
    ("name", "args", "made"),
    [
        ("has_pii", [], f"{PII}.detected"),
        ("has_pii", ["email", "iban"], ("contains", f"{PII}.types", ["email", "iban"])),
        ("has_pii", ["request.messages"], ("pii", "request.messages", [])),
        ("pii", ["request.text", "ssn"], ("pii", "request.text", ["ssn"])),
        ("has_injection", [], "processing.content_analysis.prompt_injection.detected"),
        ("has_injection", ["request.prompt"], ("has_injection", "request.prompt")),
        ("has_sensitive", [], f"{SENSITIVE}.detected"),
        ("has_sensitive", ["high"], ("contains", ["high", "critical"], f"{SENSITIVE}.severity")),
        ("has_sensitive", ["request.text", "critical"], ("has_sensitive", "request.text", ["critical"])),
        ("has_role", ["admin"], ("contains", "context.user_attributes.roles", "admin")),
        ("in_business_hours", [], ("in_business_hours", "context.time.timestamp", "UTC")),
        ("in_business_hours", ["Europe/Berlin"], ("in_business_hours", "context.time.timestamp", "Europe/Berlin")),
        ("cidr", ["context.client_ip", "10.0.0.0/8"], ("cidr", "context.client_ip", "10.0.0.0/8")),
        ("glob", ["request.model", "gpt-4*"], ("glob", "request.model", "gpt-4*")),
        ("exists", ["request.metadata.project"], ("exists", "request.metadata.project")),
    ],
)  # fmt: skip
def test_a_call_is_what_it_comes_to(name, args, made):
    assert shown(subject(name, *args)) == made


def test_a_call_that_gives_a_number_is_compared():
    assert shown(subject("len", "request.tools", operator=">", value=5)) == "request.tools.length"
    assert (
        shown(subject("injection_score", operator=">", value=0.7))
        == "processing.content_analysis.prompt_injection.confidence"
    )
    assert shown(subject("hash_bucket", "context.user_id", 10, operator="<", value=3)) == (
        "hash_bucket",
        "context.user_id",
        10,
    )


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("has_pii", ["emial"], "`emial` is not a kind of personal data; hint: did you mean `email`?"),
        (
            "has_pii",
            ["request.text", "request.user"],
            "a kind of personal data has to be written in the policy, as text",
        ),
        ("has_sensitive", ["huge"], "`huge` is not a severity; hint: there is critical, high, low, medium"),
        ("has_sensitive", ["low", "high"], "`has_sensitive` takes a field before a severity"),
        ("in_business_hours", ["Mars"], "there is no time zone `Mars`"),
        ("cidr", ["context.client_ip", "10.0.0.0/33"], "`10.0.0.0/33` is not a network"),
        ("cidr", ["context.client_ip", "request.model"], "a network has to be written in the policy, as text"),
        ("glob", ["request.model"], "`glob` takes 2 arguments"),
        ("glob", ["request.n", "*"], "`glob` does not take a number here"),
        ("hash_bucket", ["request.user", 0], "`hash_bucket` takes a whole number of buckets"),
        ("random", [], "there is no function `random`; hint: a decision can be replayed"),
        ("secrets", ["request.text"], "there is no function `secrets`"),
        ("has_roel", ["x"], "unknown function `has_roel`; hint: did you mean `has_role`?"),
        ("pii", [], "`pii` takes at least 1 argument"),
        ("len", ["request.tools"], "`operator` is required"),
        ("len", "request.tools", "`args` is a list, not a string"),
    ],
)
def test_a_call_that_cannot_work_is_refused(name, args, said):
    assert said in problem_of({"function": name, "args": args})
