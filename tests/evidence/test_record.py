"""Leaves fit, name nobody, and hold no words of the conversation."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.evidence import bounds, record
from jupiter_addons.evidence.counted import counted
from jupiter_addons.evidence.encoding import MAX_LEAF_BYTES, encode
from jupiter_addons.evidence.payload import Salted

WHO = record.Who(record.pseudonym(b"k" * 32, "alice"), "key1", "lab")


def test_a_leaf_has_the_digest_of_a_body_or_its_salted_form_and_never_both():
    plain = record.digest("request", b"yes")
    hidden = replace(plain, salted=Salted("k_1", "ab" * 32))
    [first], [second] = (a_decision(payloads=[one])["payload"] for one in (plain, hidden))
    assert first == {"role": "request", "alg": "sha256", "sha256": plain.sha256, "len": 3}
    assert second == {"role": "request", "alg": "hmac-sha256", "digest": "ab" * 32, "under": "k_1", "len": 3}


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
    rules = [
        record.Rule("house", "no-pii", "deny", "pii"),
        record.Rule("house", "trial", "deny", "x", "shadow", unknown=True),
    ]
    fields = a_decision(end=end, verdict="deny", rules=rules)
    assert fields["outcome"] == {"status": "refused", "code": "policy_denied"}
    assert fields["latency_us"] == {"total": 12}
    assert fields["http"]["status"] == 403
    assert not {"mode", "unknown"} & fields["guardrail"][0].keys()
    assert (fields["guardrail"][1]["mode"], fields["guardrail"][1]["unknown"]) == ("shadow", True)


@given(
    st.text(max_size=2000),
    st.text(max_size=2000),
    st.dictionaries(st.text(max_size=80), st.text(max_size=500), max_size=5),
)
def test_whatever_a_client_sends_makes_a_leaf(model, correlation, tags):
    encode(a_decision(gen_ai={"request.model": model}, correlation=correlation, tags=tags))


UNKIND = st.text(st.sampled_from(list('a"\\\x00\x1f\x7fé漢😀\ud800')), max_size=400)


@given(UNKIND, st.integers(0, 60), st.integers(0, 200))
def test_however_much_there_is_to_say_a_leaf_fits(text, rules, tags):
    many = [record.Rule(text, f"{text}{number}", "deny", text) for number in range(rules)]
    fields = a_decision(
        who=record.Who(WHO.user, text, text),
        correlation=text,
        method=text,
        path=text,
        gen_ai=dict.fromkeys(("request.model", "provider.name", "dialect", "operation.name"), text),
        rules=many,
        tags={f"{'x' * 80}{number}"[number:]: text for number in range(tags)},
        payloads=[record.digest("request", b""), record.digest("request_upstream", b"")],
        end=record.End("refused", 403, text, {"total": 1, "ttfb": 2, "policy": 3, "queue": 4}),
        route={"strategy": text, "chosen": text},
        demands=[record.Held(text, "requests", number, 60) for number in range(rules)],
        taken=[counted(f"team:{text}", name=text, unit="tokens", held=1, limit=2, period=text) for _ in range(rules)],
        changed=[(text, f"{text}{number}", 1) for number in range(tags)],
    )
    assert len(encode(fields)) < MAX_LEAF_BYTES - 1024, "there must be room for what the log adds"
    if rules:
        assert fields["guardrail"][-1]["rule"] == bounds.cut(f"{text}{rules - 1}"), "the last rule decided"
    assert len(fields["guardrail"]) + fields.get("omitted", {}).get("guardrail", 0) == rules
    ended = record.outcome(
        call_id="c",
        end=record.End("provider_error", 502, text),
        upstream_status=200,
        gen_ai={"response.model": text, "response.id": text, "response.finish_reasons": [text] * 99},
        usage_source=None,
        charge_nusd=0,
        price_source=None,
        payloads=[],
        rules=many,
        tags={f"{'x' * 80}{number}"[number:]: text for number in range(tags)},
        changed=[(text, text, number) for number in range(tags)],
    )
    assert len(encode(ended)) < MAX_LEAF_BYTES - 1024


def test_what_was_changed_and_held_names_its_rule():
    fields = a_decision(
        score=6, changed=[("p/r", "messages[0].content", 1)], demands=[record.Held("p/q", "cost", 5, 60)]
    )
    assert fields["score"] == 6
    assert fields["changed"] == [{"rule": "p/r", "field": "messages[0].content", "count": 1}]
    assert fields["limits"]["demands"] == [{"rule": "p/q", "unit": "cost", "limit": 5, "window_s": 60}]
    many = a_decision(changed=[("p/r", f"messages[{n}].content", 1) for n in range(500)])
    assert len(many["changed"]) + many["omitted"]["changed"] == 500
    assert not {"changed", "score"} & a_decision().keys()


def test_few_rules_and_tags_fit_however_long_they_are():
    worst = '"' * 400
    fields = a_decision(
        rules=[record.Rule(worst, worst, "escalate", worst, "shadow")] * bounds.FEW,
        tags={f"{n}{worst}": worst for n in range(bounds.FEW)},
    )
    assert len(encode({"": fields["guardrail"]})) <= record.MAX_RULES_BYTES
    assert len(encode(fields["tags"])) <= record.MAX_TAGS_BYTES
    assert "omitted" not in fields


def test_a_long_tag_keeps_an_ascii_name():
    assert a_decision(tags={"t" * 70: "v", "größe": "w"})["tags"] == {"t" * 64: "v"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("x" * 256, "x" * 256),
        ("x" * 300, "x" * 255 + "…"),
        ("é" * 200, "é" * 127 + "…"),
        ("\ud800", "?"),
        ("a\nb\x00", "a\ufffdb\ufffd"),
    ],
    ids=["whole", "long", "bytes", "surrogate", "controls"],
)
def test_text_is_cut_by_bytes_and_says_so(text, kept):
    assert bounds.cut(text) == kept


def test_pseudonyms_are_keyed():
    assert record.pseudonym(b"1" * 32, "alice") == record.pseudonym(b"1" * 32, "alice")
    assert record.pseudonym(b"1" * 32, "alice") != record.pseudonym(b"2" * 32, "alice")


def test_the_other_kinds_encode_too():
    for fields in (
        record.interrupted("c"),
        record.tunnel(call_id="c", who=WHO, host="h", port=443, bytes_up=1, bytes_down=2, duration_us=3),
        record.refusals(second_s=1, address="hmac:x", codes={"missing_key": 3}),
        record.control("log.open", boot="b", count=1),
        record.control("policy.load", sha256="a" * 64),
        record.attempt(
            call_id="c",
            number=2,
            provider="p",
            model="m",
            failed="connect",
            elapsed_us=5,
            sent=record.digest("request_upstream", b"x"),
        ),
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


def test_an_attempt_in_another_dialect_says_so_and_what_was_lost():
    leaf = record.attempt(
        call_id="c",
        number=2,
        provider="p",
        model="m",
        failed="connect",
        elapsed_us=5,
        sent=record.digest("request_upstream", b"x"),
        translated="openai_chat→ollama_chat",
        changed=[("translation", f"field{number}: left out" + "x" * 300, 1) for number in range(20)],
    )
    assert leaf["gen_ai"]["translated"] == "openai_chat→ollama_chat"
    assert len(leaf["changed"]) + leaf["omitted"]["changed"] == 20
    assert len(encode({**leaf})) < 4096
