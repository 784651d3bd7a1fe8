"""Chat completions requests are read whole, or refused by the path that cannot be."""

import pytest
from support.translation import read

from jupiter_addons.dialects.translation.conversation import Reasoning, Text, ToolResult, Turn
from jupiter_addons.errors import RequestError


def asked(*messages, **fields):
    return read("openai_chat", {"model": "m", "messages": list(messages), **fields})


def user(content="hi"):
    return {"role": "user", "content": content}


def test_results_that_stand_together_are_one_turn():
    results = [{"role": "tool", "tool_call_id": f"c{i}", "content": str(i)} for i in range(2)]
    turns = asked(*results, user())[0].turns
    assert turns == (
        Turn("tool", (ToolResult("c0", (Text("0"),)), ToolResult("c1", (Text("1"),)))),
        Turn("user", (Text("hi"),)),
    )
    assert [turn.at for turn in turns] == ["messages[0]", "messages[2]"]


def test_a_result_may_repeat_the_name_of_its_tool():
    result = {"role": "tool", "tool_call_id": "c", "content": "1"}
    assert asked({**result, "name": "f"}) == asked(result)


def test_developer_is_system():
    assert asked({"role": "developer", "content": "a"})[0].turns[0].role == "system"


def test_empty_text_beside_calls_says_nothing():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    (turn,) = asked({"role": "assistant", "content": "", "tool_calls": [call]})[0].turns
    assert len(turn.parts) == 1


def test_no_effort_is_reasoning_switched_off():
    assert asked(user(), reasoning_effort="none")[0].reasoning == Reasoning(False, "none")
    assert asked(user())[0].reasoning is None


def test_what_does_nothing_is_nothing():
    neutral = {"n": 1, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {}, "modalities": ["text"]}
    assert asked(user(), **neutral)[0] == asked(user())[0]
    assert asked(user(), response_format={"type": "text"}, stop=None, seed=None)[0] == asked(user())[0]


def test_advice_is_noted():
    notes = asked(user(), prediction={"type": "content"}, stream_options={"include_obfuscation": False})[1]
    assert [note.partition(":")[0] for note in notes] == ["stream_options.include_obfuscation", "prediction"]


AUDIO = {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}


@pytest.mark.parametrize(
    ("message", "fields", "path", "code"),
    [
        (user(), {"functions": [{"name": "f"}]}, "functions", "unsupported_by_provider"),
        (user(), {"web_search_options": {}}, "web_search_options", "unsupported_by_provider"),
        (user(), {"modalities": ["text", "audio"]}, "modalities", "unsupported_by_provider"),
        (user(), {"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "unsupported_by_provider"),
        (user(), {"tool_choice": {"type": "allowed_tools"}}, "tool_choice", "unsupported_by_provider"),
        (user(), {"response_format": {"type": "grammar"}}, "response_format.type", "unsupported_by_provider"),
        (user(), {"seed": "x"}, "seed", "invalid_value"),
        (user([AUDIO]), {}, "messages[0].content[0].type", "unsupported_by_provider"),
        (user([{"type": "image_url"}]), {}, "messages[0].content[0].image_url.url", "invalid_value"),
        (user(7), {}, "messages[0].content", "invalid_value"),
        ({**user(), "name": "bob"}, {}, "messages[0].name", "unsupported_by_provider"),
        ({"role": "function", "content": "x"}, {}, "messages[0].role", "unsupported_by_provider"),
        ({"role": "tool", "content": "x"}, {}, "messages[0].tool_call_id", "invalid_value"),
        ({"role": "assistant", "tool_calls": [{"id": "c", "type": "custom"}]}, {}, "messages[0].tool_calls[0].type", "unsupported_by_provider"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_its_path(message, fields, path, code):
    with pytest.raises(RequestError) as caught:
        asked(message, **fields)
    assert (caught.value.refusal.param, caught.value.refusal.code) == (path, code)
