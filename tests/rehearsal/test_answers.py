"""Both dialects say the same."""

from jupiter_addons.rehearsal import answers
from jupiter_addons.rehearsal.behaviour import Behaviour

BODY = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}


def test_the_last_user_message_is_answered():
    assert answers.last_user_text(BODY) == "hello"
    assert answers.answer_text("hello", Behaviour()) == "You said: hello"
    assert answers.answer_text("", Behaviour(events=3)) == "word0 word1 word2"


def test_streams_end_as_their_dialect_does():
    assert list(answers.openai_events(BODY, "a b", Behaviour()))[-1] == b"data: [DONE]\n\n"
    assert list(answers.anthropic_events(BODY, "a b", Behaviour()))[-1].startswith(b"event: message_stop")
    assert b"error" in list(answers.anthropic_events(BODY, "a b", Behaviour(error_event=True)))[-1]


def test_lists_and_errors_have_both_shapes():
    assert answers.model_list(True)["has_more"] is False
    assert answers.model_list(False)["object"] == "list"
    assert answers.error_body(True, 500, "x")["type"] == "error"
    assert answers.error_body(False, 500, "x")["error"]["message"] == "x"
    assert answers.anthropic_body(BODY, "a", Behaviour(no_usage=True)).keys() == answers.anthropic_body(
        BODY, "a", Behaviour()
    ).keys() - {"usage"}
    assert "usage" not in answers.openai_body(BODY, "a", Behaviour(no_usage=True))


TOOLS = [{"name": "f", "input_schema": {"properties": {"a": {"type": "integer"}}}}]


def test_calls_and_thoughts_are_said_in_both():
    knobs = Behaviour(calls=2, think="hm")
    body = {**BODY, "tools": TOOLS}
    whole = answers.anthropic_body(body, "x", knobs)
    assert [block["type"] for block in whole["content"]] == ["thinking", "tool_use", "tool_use"]
    assert whole["stop_reason"] == "tool_use"
    assert b"input_json_delta" in b"".join(answers.anthropic_events(body, "x", knobs))
    body = {**BODY, "tools": [{"type": "function", "function": {"name": "f"}}]}
    choice = answers.openai_body(body, "x", knobs)["choices"][0]
    assert (len(choice["message"]["tool_calls"]), choice["finish_reason"]) == (2, "tool_calls")
    assert b'"finish_reason": "tool_calls"' in b"".join(answers.openai_events(body, "x", knobs))
