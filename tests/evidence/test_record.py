"""Leaves fit, name nobody, and hold no words of the conversation."""

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.evidence import record
from jupiter_addons.evidence.encoding import encode

WHO = record.Who(record.pseudonym(b"k" * 32, "alice"), "key1", "lab")


def a_decision(**change):
    given_fields = {
        "call_id": "c-1",
        "correlation": "r-1",
        "who": WHO,
        "door": "gateway",
        "method": "POST",
        "path": "/v1/chat/completions",
        "verdict": "allow",
        "gen_ai": {"request.model": "m"},
        "rules": [],
        "policy_sha256": "a" * 64,
        "config_sha256": "b" * 64,
        "tags": {},
        "tokens": {"input_tokens_upper": 5},
        "hold_nusd": 7,
        "payloads": [record.digest("request", b"secret words")],
        "end": None,
    }
    return record.decision(**{**given_fields, **change})


def test_a_decision_holds_digests_and_a_pseudonym():
    leaf = encode(a_decision())
    assert b"secret words" not in leaf
    assert b"alice" not in leaf
    assert b'"outcome"' not in leaf


def test_a_refused_call_has_its_outcome_folded_in():
    end = record.End("refused", 403, "policy_denied", {"total": 12})
    rules = [record.Rule("house", "no-pii", "deny", "pii"), record.Rule("house", "trial", "deny", "x", "shadow")]
    fields = a_decision(end=end, verdict="deny", rules=rules)
    assert fields["outcome"] == {"status": "refused", "code": "policy_denied", "latency_us": {"total": 12}}
    assert fields["http"]["status"] == 403
    assert "mode" not in fields["guardrail"][0]
    assert fields["guardrail"][1]["mode"] == "shadow"


@given(
    st.text(max_size=2000),
    st.text(max_size=2000),
    st.dictionaries(st.text(max_size=80), st.text(max_size=500), max_size=5),
)
def test_whatever_a_client_sends_makes_a_leaf(model, correlation, tags):
    encode(a_decision(gen_ai={"request.model": model}, correlation=correlation, tags=tags))


def test_long_text_is_cut_and_says_so():
    assert record.cut("x" * 300) == "x" * 255 + "…"
    assert record.cut("\ud800") == "?"


def test_pseudonyms_are_keyed():
    assert record.pseudonym(b"1" * 32, "alice") == record.pseudonym(b"1" * 32, "alice")
    assert record.pseudonym(b"1" * 32, "alice") != record.pseudonym(b"2" * 32, "alice")


def test_the_other_kinds_encode_too():
    for fields in (
        record.interrupted("c"),
        record.tunnel(call_id="c", who=WHO, host="h", port=443, bytes_up=1, bytes_down=2, duration_us=3),
        record.refusals(second_s=1, address="hmac:x", codes={"missing_key": 3}),
        record.control("log.open", boot="b", count=1),
        record.outcome(
            call_id="c",
            end=record.End("ok", 200),
            upstream_status=200,
            gen_ai={"usage.input_tokens": 1},
            usage_source="provider",
            charge_nusd=5,
            price_source=None,
            payloads=[],
        ),
    ):
        encode(fields)
