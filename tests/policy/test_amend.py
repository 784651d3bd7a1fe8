"""A request after its effects: only what a rule names is different, and the change names the rule."""

import json
import time
import timeit

import orjson
import pytest
import re2
from support.redactions import EMAIL, find

from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.strict import scan
from jupiter_addons.enrichment.detectors.gate import ScanError
from jupiter_addons.errors import EffectError
from jupiter_addons.policy.amend import Change, amend
from jupiter_addons.policy.effects import Addition, By, Redaction, Setting
from jupiter_addons.policy.load import load

BY, HIGH = By("p", "r"), By("p", "high", mandatory=True)
OPENAI = b"""{ "model":"m", "max_tokens" : 9, "x":1E2,
  "messages":[{"role":"system","content":"mail \\u0061@b.org"},{"role":"user","content":[{"type":"text","text":"I am joe@x.com"},{"type":"image_url","image_url":{"url":"https://joe@x.com/"}}]},
  {"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\\"to\\": \\"joe@x.com\\"}"}}]},
  {"role":"tool","tool_call_id":"t","content":"joe@x.com"},{"role":"user","content":"and joe@x.com?"}] }"""
ANTHROPIC = b"""{"model":"m","max_tokens":9,"system":"mail a@b.org","metadata":{"user_id":"u"},"messages":[
  {"role":"user","content":[{"type":"text","text":"I am joe@x.com"}]},
  {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"to":"joe@x.com"}}]},
  {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"joe@x.com"},{"type":"text","text":"and joe@x.com?"}]}]}"""
BODIES = {"openai_chat": OPENAI, "anthropic_messages": ANTHROPIC}
BOTH = pytest.mark.parametrize("dialect", BODIES)


def fields(*paths):
    listed = ", ".join(f"'{path}'" for path in paths)
    text = f'mpl_version: "1.0"\nname: p\nrules:\n  - {{name: r, conditions: [], actions: [{{type: redact, fields: [{listed}]}}]}}\n'
    return load({"p": text.encode()}).rules[0].actions[0].fields


def redaction(*paths, by=BY, **change):
    change.setdefault("pattern", re2.compile(EMAIL))
    return Redaction(by, fields(*paths), **change)


def amended(dialect, *effects):
    found = amend(dialect, BODIES[dialect], effects, find)
    PARSERS[dialect](scan(found.body))
    return found, orjson.loads(found.body)


@BOTH
def test_without_effects_the_bytes_are_those_received(dialect):
    found, _ = amended(dialect, redaction("request.messages", pattern=re2.compile("nowhere")))
    assert (found.body, found.changes) == (BODIES[dialect], ())


@BOTH
def test_a_redaction_of_all_messages_leaves_nothing_that_was_found(dialect):
    found, body = amended(dialect, redaction("request.messages"))
    assert b"@" not in found.body.replace(b"https://joe@x.com/", b"")
    assert body["model"] == "m"
    assert {change.rule for change in found.changes} == {"p/r"}
    for change in found.changes:  # and outside the places that are named, nothing is different
        assert change.field.startswith(("messages[", "system"))


def test_outside_the_named_places_every_byte_is_the_one_received():
    found, _ = amended("openai_chat", redaction("request.prompt"))
    assert found.body == OPENAI.replace(b'"and joe@x.com?"', b'"and [REDACTED]?"')
    assert found.changes == (Change("p/r", "messages[4].content"),)


def test_arguments_of_tools_stay_json():
    _, body = amended("openai_chat", redaction("request.messages[2]", replacement='"'))
    assert json.loads(body["messages"][2]["tool_calls"][0]["function"]["arguments"]) == {"to": '"'}
    _, body = amended("anthropic_messages", redaction("request.messages[*].content"))
    assert body["messages"][1]["content"][0]["input"] == {"to": "[REDACTED]"}
    assert body["messages"][2]["content"][0]["content"] == "[REDACTED]"


@pytest.mark.parametrize(("dialect", "number"), [("openai_chat", 0), ("anthropic_messages", 0), ("openai_chat", -5)])
def test_messages_are_numbered_as_rules_number_them(dialect, number):
    found, _ = amended(dialect, redaction(f"request.messages[{number}]", pattern=None))
    assert b'"[REDACTED]"' in found.body
    assert [change.field for change in found.changes] == [
        "messages[0].content" if dialect == "openai_chat" else "system"
    ]


def test_a_message_that_is_not_there_has_nothing_to_take_out():
    assert amended("openai_chat", redaction("request.messages[99]"))[0].changes == ()


@BOTH
def test_placeholders_are_numbered_over_the_whole_request(dialect):
    found, _ = amended(dialect, redaction("request.messages", pattern=None, kinds=("email",), reversible=True))
    assert found.vault.contents == {"[EMAIL_1]": "a@b.org", "[EMAIL_2]": "joe@x.com"}
    assert found.body.count(b"[EMAIL_2]") >= 4


def test_a_placeholder_is_none_that_the_client_wrote_however_it_was_escaped():
    body = b'{"model":"m","messages":[{"role":"user","content":"\\u005bEMAIL_1] joe@x.com"}]}'
    hide = redaction("request.messages", pattern=None, kinds=("email",), reversible=True)
    assert amend("openai_chat", body, [hide], find).vault.contents == {"[EMAIL_2]": "joe@x.com"}


def test_a_redaction_cannot_be_undone_and_nothing_slips_in_behind_it():
    effects = [
        redaction("request.prompt", by=HIGH),
        Addition(BY, False, " really joe@x.com"),
        Setting(BY, "request.messages[0].content", "ask a@b.org"),
        redaction("request.prompt", pattern=re2.compile(r"\[REDACTED\]"), replacement="joe@x.com"),
    ]
    _, body = amended("openai_chat", *effects)
    assert body["messages"][4]["content"] == "and [REDACTED]? really [REDACTED]"
    assert body["messages"][0]["content"] == "ask a@b.org"


@pytest.mark.parametrize(
    ("dialect", "field", "value", "path", "found"),
    [
        ("openai_chat", "request.max_tokens", 5, ("max_tokens",), 5),
        ("openai_chat", "request.temperature", 0, ("temperature",), 0),
        ("openai_chat", "request.messages[-1].content", "hi", ("messages", 4, "content"), "hi"),
        ("openai_chat", "request.prompt", "hi", ("messages", 4, "content"), "hi"),
        ("openai_chat", "request.metadata.team", "lab", ("metadata", "team"), "lab"),
        ("anthropic_messages", "request.user", "v", ("metadata", "user_id"), "v"),
        ("anthropic_messages", "request.stop", ["x"], ("stop_sequences",), ["x"]),
        ("anthropic_messages", "request.messages[0].content", "be kind", ("system",), "be kind"),
        ("openai_chat", "request.response_format", {"type": "json_object"}, ("response_format",), {"type": "json_object"}),
    ],
)  # fmt: skip
def test_a_field_is_set(dialect, field, value, path, found):
    result, body = amended(dialect, Setting(BY, field, value))
    for step in path:
        body = body[step]
    assert body == found
    assert len(result.changes) == 1
    again = amend(dialect, result.body, [Setting(BY, field, value)], None)
    assert (again.body, again.changes) == (result.body, ()), "what is so already is no change"


def test_a_field_is_taken_away_and_one_that_is_not_there_stays_away():
    result, body = amended("openai_chat", Setting(BY, "request.max_tokens", None), Setting(BY, "request.n", None))
    assert "max_tokens" not in body
    assert [change.field for change in result.changes] == ["max_tokens"]


@pytest.mark.parametrize(
    ("dialect", "prepend", "changed", "text"),
    [
        ("openai_chat", True, "messages[4].content", "Briefly: and joe@x.com?"),
        ("openai_chat", False, "messages[4].content", "and joe@x.com?Briefly: "),
        ("anthropic_messages", False, "messages[2].content[1].text", "and joe@x.com?Briefly: "),
    ],
)
def test_text_is_added_to_the_prompt(dialect, prepend, changed, text):
    result, _ = amended(dialect, Addition(BY, prepend, "Briefly: "))
    assert [change.field for change in result.changes] == [changed]
    assert json.dumps(text).encode() in result.body


def test_a_prompt_without_text_gets_a_part_of_its_own():
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"}]}]}'
    result = amend("anthropic_messages", body, [Addition(BY, True, "a")], None)
    assert orjson.loads(result.body)["messages"][0]["content"][1] == {"type": "text", "text": "a"}


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (Setting(BY, "request.messages[9].content", "x"), "there is no message 9"),
        (Setting(BY, "request.model.x", "x"), "has no members"),
        (Setting(BY, "request.user", "\ud800"), "cannot hold"),
        (redaction("request.prompt", pattern=None, kinds=("email",)), "no detector for email"),
    ],
)
def test_what_cannot_be_done_names_its_rule(effect, said):
    with pytest.raises(EffectError, match=f"rule `p/r` cannot be carried out: .*{said}"):
        amend("openai_chat", OPENAI, [effect], None)


def test_a_pattern_that_takes_too_long_ends_the_call_by_its_rule():
    body = {"model": "m", "messages": [{"role": "user", "content": "1" * 40_000}]}
    again_and_again = redaction("request.messages", pattern=re2.compile(r"\d+-|\d"))
    with pytest.raises(EffectError, match="rule `p/r` cannot be carried out: its pattern takes too long"):
        amend("openai_chat", orjson.dumps(body), [again_and_again], find)


def test_a_detector_that_gives_up_ends_the_call_by_its_rule():
    def gives_up(text, kinds):
        raise ScanError("gave up")

    with pytest.raises(EffectError, match="rule `p/r` cannot be carried out: gave up"):
        amend("openai_chat", OPENAI, [redaction("request.prompt", pattern=None, kinds=("email",))], gives_up)


def test_nor_may_it_give_up_over_the_names_that_a_tool_is_given():
    def gives_up(text, kinds):
        raise ScanError("gave up")

    held = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": True}}
    body = json.dumps({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [held]}]}).encode()
    with pytest.raises(EffectError, match="rule `p/r` cannot be carried out: gave up"):
        amend("anthropic_messages", body, [redaction("request.messages", pattern=None, kinds=("email",))], gives_up)


def test_without_a_user_message_there_is_no_prompt():
    with pytest.raises(EffectError, match="there is no user message"):
        amend(
            "openai_chat",
            b'{"model":"m","messages":[{"role":"system","content":"x"}]}',
            [Addition(BY, True, "a")],
            None,
        )


@pytest.mark.parametrize(
    ("path", "held", "left"),
    [
        ("x", "joe@x.com", "[REDACTED]"),
        ("x", ["joe@x.com", {"y": "a joe@x.com"}], ["[REDACTED]", {"y": "a [REDACTED]"}]),
        ("x[-1]", ["a@x.com", "joe@x.com"], ["a@x.com", "[REDACTED]"]),
        ("x['a.b c']", {"a.b c": "joe@x.com"}, {"a.b c": "[REDACTED]"}),
        ("x[3]", ["joe@x.com"], ["joe@x.com"]),
        ("x.y", "joe@x.com", "joe@x.com"),
    ],
)
def test_metadata_is_redacted_whatever_its_shape(path, held, left):
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a"}], "metadata": {"x": held}}).encode()
    result = amend("openai_chat", body, [redaction(f"request.metadata.{path}".replace("'", "''"))], None)
    assert orjson.loads(result.body)["metadata"] == {"x": left}


def test_a_number_that_a_tool_is_given_is_redacted_as_the_text_it_would_be():
    held = {"type": "tool_use", "id": "t", "name": "f", "input": {"pin": 1234, "n": [12, True, 4321.5]}}
    body = json.dumps({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [held]}]}).encode()
    result = amend("anthropic_messages", body, [redaction("request.messages", pattern=None, kinds=("pin",))], find)
    assert orjson.loads(result.body)["messages"][0]["content"][0]["input"] == {
        "pin": "[PIN]",
        "n": [12, True, "[PIN].5"],
    }


def test_a_user_is_one_however_the_role_is_spelled():
    body = b'{"model":"m","messages":[{"role":"User","content":"joe@x.com"}]}'
    assert b"joe" not in amend("openai_chat", body, [redaction("request.prompt")], None).body


def test_what_is_found_in_a_name_that_a_tool_is_given_cannot_be_taken_out_so_the_call_does_not_pass():
    held = {"type": "tool_use", "id": "t", "name": "f", "input": {"deep": [{"joe@x.com": True}]}}
    body = json.dumps({"model": "m", "max_tokens": 1, "messages": [{"role": "assistant", "content": [held]}]}).encode()
    with pytest.raises(EffectError, match="in the name of a member"):
        amend("anthropic_messages", body, [redaction("request.messages")], None)
    assert (
        amend("anthropic_messages", body, [redaction("request.messages", pattern=re2.compile("eve"))], None).body
        == body
    )


def test_placeholders_are_made_in_time_in_proportion():
    def work(n):
        text = " ".join(f"user{i}@x.com" for i in range(n))
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode()
        return lambda: amend("openai_chat", body, [redaction("request.messages", reversible=True)], None)

    once, four_times = (min(timeit.repeat(work(n), number=1, repeat=3, timer=time.thread_time)) for n in (3000, 12_000))
    assert four_times < 8 * once
