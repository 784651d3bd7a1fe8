"""What cannot be worked out: rules that deny deny, all others do nothing, and leaf and log say why."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import failing_checks
from support.failing_checks import BROKEN, UNCOUNTED
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, post

from jupiter_addons.enrichment.findings import MAX_SCANNED_BYTES
from jupiter_addons.rehearsal.server import RehearsalThread

CHAT = "/v1/chat/completions"
TOO_LONG = "word " * (MAX_SCANNED_BYTES // 5 + 1)

PII = "{field: processing.content_analysis.pii_detection.detected, operator: ==, value: true}"
CONDITIONS = {
    "pii": PII,
    "no-pii": f"not: {PII}",
    "function": "{function: has_pii, args: [request.prompt], operator: ==, value: true}",
    "injection": "{field: processing.content_analysis.prompt_injection.confidence, operator: '>', value: 0.7}",
    "risk": "{field: processing.risk_score, operator: '>', value: 7}",
    "usage": "{field: context.user_attributes.requests_today, operator: '>', value: 100000}",
    "counted": "{field: rate_limit.model_hourly, operator: '>', value: 100000}",
}
ACTIONS = {
    "deny": "{type: deny, message: cannot be checked, code: unchecked}",
    "allow": "{type: allow}, {type: tag, key: allowed, value: 'yes'}",
    "word": "{type: log, level: warn, message: said}, {type: tag, key: said, value: 'yes'}, {type: modify, field: request.user, value: x}",
    "redact": "{type: redact, fields: [request.messages], detect: [email]}",
    "score": "{type: score, add: 5}, {type: threshold, score: 5, message: cannot be checked, code: unchecked}",
}


def policy() -> str:
    """One rule for every pair of a condition and an action, each for the calls that name it."""
    lines = ['mpl_version: "1.0"', "name: checks", "rules:"]
    for what, condition in CONDITIONS.items():
        for how, actions in ACTIONS.items():
            named = f"{{field: request.metadata.case, operator: ==, value: {what}-{how}}}"
            inner = condition if condition.startswith("{") else f"{{{condition}}}"
            lines.append(f"  - {{name: {what}-{how}, conditions: [{named}, {inner}], actions: [{actions}]}}")
    return "\n".join(lines)


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    price = {"input": 1, "output": 1}
    overrides = {
        "providers": {"rehearsal": {"models": ["*"]}},
        "processing": {"costs": {"overrides": {UNCOUNTED: price}}},
    }
    setup = Setup(overrides=overrides, policies={"checks.yaml": policy()}, preamble=Path(failing_checks.__file__))
    with start_gateway(tmp_path_factory.mktemp("checks"), provider.port, setup) as running:
        yield running
        assert running.report().findings == []


def ask(client: Client, gateway: Gateway, case: str, text: str, model: str = "rehearsal-1") -> Answer:
    return client.ask(post(CHAT, chat(text, model=model, metadata={"case": case}), gateway.key))


FAULTS = pytest.mark.parametrize(
    ("what", "text", "model", "why"),
    [
        *((what, BROKEN, "rehearsal-1", "OSError") for what in CONDITIONS if what not in ("usage", "counted")),
        *((what, TOO_LONG, "rehearsal-1", "bytes of text are more than") for what in ("pii", "no-pii", "function", "injection", "risk")),
        *((what, text, UNCOUNTED, "OSError") for what in ("usage", "counted") for text in ("hello", "word " * 8000)),
    ],
    ids=lambda value: str(value)[:18].strip(),
)  # fmt: skip


def check_denied(case: str, answer: Answer, gateway: Gateway) -> str:
    assert (answer.status, answer.code) == (403, "unchecked")
    call = answer.headers["x-jupiter-evidence-id"]
    (leaf,) = gateway.leaves("decision", call)
    assert leaf["guardrail"][-1]["rule"] == case
    assert leaf["guardrail"][-1]["unknown"] is True
    return call


@FAULTS
def test_a_rule_that_denies_denies_and_the_log_says_why(what, text, model, why, client, gateway, provider):
    """Of one kind twenty lines a second are written; these are fewer."""
    seen = provider.journal.seen
    call = check_denied(f"{what}-deny", ask(client, gateway, f"{what}-deny", text, model), gateway)
    assert provider.journal.seen == seen
    (line,) = [line for line in gateway.log.splitlines() if call in line and "could not be worked out" in line]
    assert why in line
    assert "cannot read" not in line  # what others raise may quote what they were looking at


@FAULTS
def test_a_score_is_added_and_a_threshold_counts(what, text, model, why, client, gateway):
    check_denied(f"{what}-score", ask(client, gateway, f"{what}-score", text, model), gateway)


@FAULTS
@pytest.mark.parametrize("how", ["allow", "word"])
def test_any_other_does_nothing(what, text, model, why, how, client, gateway, provider):
    answer = ask(client, gateway, f"{what}-{how}", text, model)
    assert answer.status == 200
    assert b'"user"' not in provider.journal.entries[-1].body.partition(b'"messages"')[0]
    call = answer.headers["x-jupiter-evidence-id"]
    (leaf,) = gateway.leaves("decision", call)
    assert not leaf.get("tags")
    assert not leaf.get("guardrail")


@pytest.mark.parametrize("text", [BROKEN, TOO_LONG], ids=["broken", "too-long"])
def test_what_cannot_be_redacted_is_not_sent(text, client, gateway, provider):
    seen = provider.journal.seen
    answer = ask(client, gateway, "pii-redact", text)
    assert (answer.status, answer.code) == (503, "policy_unavailable")
    assert provider.journal.seen == seen
    assert "cannot read" not in gateway.log


@pytest.mark.parametrize("what", CONDITIONS)
def test_without_a_fault_they_only_do_what_they_say(what, client, gateway):
    expected = 403 if what == "no-pii" else 200
    assert ask(client, gateway, f"{what}-deny", "hello").status == expected
