"""The 22 documented policies as published, through a real gateway: what each lets pass, and what it does not."""

import datetime
from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from support.published import AT_HAND, DOCUMENTED, Case, Published, published, table
from support.published_cases import DOCUMENTED_CASES, MAIL, THREAT, USER

from jupiter_addons.rehearsal.server import RehearsalThread

pytestmark = AT_HAND


@pytest.fixture(scope="module")
def production(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    with published(tmp_path_factory.mktemp("production"), provider, "production") as running:
        running.spend("token-spender", text="word " * 100_100)
        running.spend("money-spender", model="dear", text="[[events=110]]")
        running.spend("spent-engineering", model="dear", text="[[events=510]]")
        running.spend("spent-marketing", model="dear", text="[[events=210]]")
        running.spend("spent-sales", model="dear", text="[[events=310]]")
        running.spend("hourly-free", requests=11)
        yield running
        report = running.gateway.report()
        assert report.findings == []
        assert not report.open_calls


@table(DOCUMENTED_CASES)
def test_a_documented_policy_decides_as_published(file: str, case: Case, production: Published):
    production.put(f"{DOCUMENTED}/{file}.yaml")
    production.check(case)


@pytest.mark.parametrize(("tier", "limit"), [("free", 10), ("premium", 100)])
def test_05_each_tier_has_its_calls_an_hour(tier: str, limit: int, production: Published):
    production.put(f"{DOCUMENTED}/05-rate-limiting.yaml")
    case = Case(tier, who=tier, fields={"user": f"of-{tier}"})
    assert [production.ask(case).status for _ in range(limit)] == [200] * limit
    over = replace(case, status=429, denied=("rate_limited", f"the limit of {limit} requests per hour is reached"))
    assert int(production.check(over).headers["retry-after"]) > 60
    production.check(replace(case, fields={"user": "another"}))  # the key is what the body claims


def test_05_the_enterprise_has_a_thousand_and_others_no_limit(production: Published):
    production.put(f"{DOCUMENTED}/05-rate-limiting.yaml")
    for who, limits in (("enterprise", [("rate-limit-enterprise-tier", 1000)]), ("nobody", [])):
        call = production.check(Case(who, who=who)).headers["x-jupiter-evidence-id"]
        (leaf,) = production.gateway.leaves("decision", call)
        held = leaf["limits"].get("demands", [])
        assert [(one["rule"].partition("/")[2], one["limit"]) for one in held] == limits


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+8", "Etc/GMT-8"])
def test_13_premium_models_have_business_hours(zone: str, production: Published):
    """Zones eight hours apart: on a working day it is business hours in some of them and not in others."""
    production.put(f"{DOCUMENTED}/13-time-based.yaml", head="" if zone == "UTC" else f"timezone: {zone}\n")
    weekend = (("warning", "Weekend LLM usage: user=u-1, model=gpt-4o"),)
    while True:
        now = datetime.datetime.now(ZoneInfo(zone))
        working = now.weekday() < 5
        open_ = working and 9 <= now.hour < 17
        premium = Case("premium", logs=(("info", "Premium model allowed during business hours"),))
        denied = Case(
            "denied",
            denied=(
                "off_hours_restriction",
                "Premium models (gpt-4) are only available during business hours (9am-5pm Mon-Fri)",
            ),
        )
        try:
            production.check(premium if open_ else denied)
            production.check(Case("any other", model="gpt-4o", fields=USER, logs=() if working else weekend))
            return
        except AssertionError:
            if datetime.datetime.now(ZoneInfo(zone)).hour == now.hour:
                raise


def test_14_production_denies_what_development_warns_of(
    production: Published, provider: RehearsalThread, tmp_path: object
):
    dear = Case("dear", fields={"max_tokens": 600})
    production.put(f"{DOCUMENTED}/14-environment.yaml")
    production.check(Case("harmless"))
    production.check(
        Case(
            "personal data",
            MAIL,
            denied=("pii_detected", "PII detected in request. Please remove sensitive information."),
            logs=(("error", "PII detected in production: email"),),
            alerts=(("/security.example.com/pii-alert", "high", "PII detected in production environment"),),
        )
    )
    told = (("/alerts.example.com/cost", "medium", "Production high-cost request: $0.606"),)
    production.check(replace(dear, logs=(("info", "High-cost production request logged"),), alerts=told))
    with published(tmp_path / "development", provider, "development") as development:  # type: ignore[operator]
        development.put(f"{DOCUMENTED}/14-environment.yaml")
        development.check(
            Case("personal data", MAIL, logs=(("warning", "PII detected in development (allowed): email"),))
        )
        development.check(dear)


CLEANED = Case(
    "personal data in the answer is masked",
    "[[say=Write to joe@example.com today]]",
    said="Write to [REDACTED] today",
    logs=(("warning", "PII detected in response, redacting: email"),),
)
UNSAFE = Case("unsafe", f"[[say={THREAT}]]", fields=USER)
SAD = Case("sad", "[[say=This is terrible, awful, horrible and I hate it.]]")
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["json", "sse"])


@STREAM
def test_16_answers_are_cleaned_and_the_rules_that_do_not_say_so_judge_the_request(stream: bool, production: Published):
    production.put(f"{DOCUMENTED}/16-response-filtering.yaml")
    harmless = production.check(Case("harmless", said="You said: hello"), stream=stream)
    assert harmless.body == production.provider.journal.entries[-1].sent
    production.check(CLEANED, stream=stream)
    asked = replace(
        UNSAFE,
        text=THREAT,
        denied=("unsafe_response", "Response blocked due to content policy violation"),
        logs=(("error", "Unsafe response blocked: severity=critical"),),
        alerts=(("/trust-safety.example.com/unsafe-response", "high", "Unsafe response generated for user u-1"),),
    )
    production.check(asked, stream=stream)


@STREAM
def test_16_with_the_phase_on_the_policy_all_its_rules_judge_the_answer(stream: bool, production: Published):
    production.put(f"{DOCUMENTED}/16-response-filtering.yaml", head="phase: response\n")
    production.check(CLEANED, stream=stream)
    sad = "Very negative sentiment in response: score=-0.…"
    production.check(replace(SAD, logs=(("warning", sad),)), stream=stream)
    answer = production.ask(UNSAFE, stream=stream)
    assert b"kill" not in answer.body
    assert b"Response blocked due to content policy violation" in answer.body
    call = answer.headers["x-jupiter-evidence-id"]
    (outcome,) = production.gateway.leaves("outcome", call)
    assert outcome["outcome"]["code"] == "unsafe_response"
    if not stream:
        assert (answer.status, answer.code) == (403, "unsafe_response")


def test_18_streams_have_a_lower_limit(production: Published):
    production.put(f"{DOCUMENTED}/18-streaming.yaml")
    production.check(Case("whole answers have none", fields={"max_tokens": 5000}))
    told = (("info", "Streaming request: user=u-1, model=gpt-4, tokens=70"),)
    production.check(Case("a short stream is logged", fields=USER, said="You said: hello", logs=told), stream=True)
    long = Case(
        "a long one is denied",
        fields={"max_tokens": 2000},
        denied=(
            "streaming_token_limit",
            "Streaming requests limited to 2000 tokens. Use non-streaming for longer requests.",
        ),
    )
    production.check(long, stream=True)
    free = Case("free users may stream: an earlier rule allows every stream", who="free", fields=USER, logs=told)
    production.check(replace(free, by="log-streaming-requests"), stream=True)


def test_20_everything_is_on_record(production: Published):
    production.put(f"{DOCUMENTED}/20-audit-trail.yaml")
    audit = ("info", "Audit: user=…, model=gpt-4, tokens=…, cost=…, risk=…, timestamp=…")
    usage = ("info", "Daily usage: user=…, requests_this_hour=…, tokens_today=…, cost_today=$…")
    production.ask(Case("so that this hour has one"))
    production.check(Case("a plain call", fields=USER, logs=(audit, usage)))
    production.check(
        Case(
            "a claim of nobody",
            fields={"user": ""},
            logs=(audit, ("warning", "Anonymous request from IP 127.0.0.1"), usage),
            alerts=(("/security.example.com/anonymous-request", "medium", "Anonymous request detected"),),
        )
    )
    many = "Unusual token usage: 10006 tokens from user u-1"
    production.check(
        Case(
            "many tokens",
            fields={"max_tokens": 10_000, **USER},
            logs=(audit, ("info", "Large token request: 10006 tokens"), usage),
            alerts=(("/alerts.example.com/unusual-usage", "low", many),),
        )
    )
    violation = ("warning", "Policy violation detected: pii=true, injection=false, sensitive=false")
    production.check(
        Case(
            "personal data",
            MAIL,
            fields=USER,
            logs=(audit, violation, usage),
            alerts=(("/compliance.example.com/violations", "medium", "Compliance violation from user u-1"),),
        )
    )
