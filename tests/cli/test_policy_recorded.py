"""`jupiter policy explain --evidence`: what can be said of a call on record, and what cannot."""

import asyncio
import json

import pytest
from click.testing import CliRunner
from support.logs import SIGNING, WHO

from jupiter_addons.cli.main import cli
from jupiter_addons.evidence import record
from jupiter_addons.policy.load import load
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

CALL = "019bc186-de00-7000-8000-000000000001"
START = 'mpl_version: "1.0"\nname: house\nrules:\n'
MODEL = """\
  - {name: not-this, when: request.model == "dear" and context.team == "lab", actions: [{type: deny, message: no}]}
"""
WORDS = """\
  - {name: words, when: request.prompt contains "x", actions: [{type: deny, message: no}]}
"""
ATTRIBUTES = WORDS.replace("request.prompt contains", "context.user_attributes.tier ==")
LIMIT = """\
  - {name: limit, conditions: [], actions: [{type: rate_limit, key: k, limit: "{{ request.user.most }}", window: 1m}]}
"""


@pytest.fixture
def explain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    provider = (
        "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\npolicy: {file_path: p.yaml}\n"
    )
    (tmp_path / "jupiter.yaml").write_text(provider)

    def run(rules, *, fired=(), now=None, code=None, call_id=CALL, model="dear"):
        policy = (START + rules).encode()
        (tmp_path / "p.yaml").write_bytes((START + now).encode() if now else policy)
        leaf = record.decision(
            call_id=CALL, correlation="r", who=WHO, door="gateway", method="POST", path="/v1/chat/completions",
            verdict="deny" if fired else "allow",
            gen_ai={"operation.name": "chat", "request.model": model, "request.stream": False},
            rules=[record.Rule("house", name, "deny") for name in fired], policy_sha256=load({"p.yaml": policy}).digest,
            config_sha256="b" * 64, tags={}, tokens={"input_tokens_estimate": 3, "output_tokens_max": 4}, hold_nusd=0,
            payloads=[], end=record.End("refused", 403, code) if code else None,
        )  # fmt: skip

        async def write():
            log = EvidenceLog(tmp_path / "state/evidence.db", Identity(SIGNING, "test", "0"))
            await log.append(leaf)
            log.close()

        asyncio.run(write())
        return CliRunner().invoke(cli, ["policy", "explain", "--evidence", call_id, "--format", "json"])

    return run


def test_a_call_that_was_decided_by_what_is_on_record_is_explained(explain):
    result = explain(MODEL + WORDS, fired=["not-this"])
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["verdict"], found["rule"]) == ("deny", "not-this")
    assert [step["value"] for step in found["rules"][0]["conditions"]] == ['"dear"', '"lab"']
    assert len(found["rules"]) == 1


def test_the_time_of_a_call_is_in_its_id(explain):
    rule = '  - {name: noon, when: context.time.hour == 12 and context.time.date == "2026-01-15", actions: [{type: allow}]}\n'
    assert json.loads(explain(rule, fired=["noon"]).stdout)["rule"] == "noon"


NOT_ENOUGH = [
    ({"rules": WORDS}, "the record has no `request.prompt`, which rule `words` reads"),
    ({"rules": ATTRIBUTES}, "the record has no `context.user_attributes.tier`, which rule `words` reads"),
    (
        {"rules": LIMIT, "fired": ["limit"]},
        "the record has no `context.user_attributes.most`, which rule `limit` reads",
    ),
    ({"rules": MODEL, "now": WORDS}, "the policies are not the ones that decided on this call"),
    ({"rules": MODEL, "fired": ["not-this"], "code": "rate_limited"}, "a limit had been reached"),
    ({"rules": MODEL, "fired": ["other"]}, "the record says that other rules fired"),
    ({"rules": MODEL}, "the record says that other rules fired"),
    ({"rules": MODEL, "call_id": "none"}, "there is no decision on call `none` in the record"),
    ({"rules": MODEL, "model": "m" * 300}, "the record has no `request.model`"),
]


@pytest.mark.parametrize(("given", "said"), NOT_ENOUGH, ids=[said for _, said in NOT_ENOUGH])
def test_what_cannot_be_said_is_exit_code_4_with_a_reason(explain, given, said):
    result = explain(**given)
    assert (result.exit_code, result.stdout) == (4, "")
    assert f"jupiter: {said}" in result.stderr
