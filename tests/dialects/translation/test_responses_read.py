"""Responses requests are read whole, or refused by the path that cannot be."""

import pytest
from support.translation import read

from jupiter_addons.dialects.translation.conversation import (
    Declined,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from jupiter_addons.errors import RequestError


def asked(input_="hi", **fields):
    return read("openai_responses", {"model": "m", "input": input_, **fields})


def test_items_of_the_assistant_that_stand_together_are_one_turn():
    items = [
        {"role": "user", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "x"}, {"type": "summary_text", "text": "y"}], "encrypted_content": "e"},
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "phase": "commentary", "content": [{"type": "output_text", "text": "b", "annotations": []}, {"type": "refusal", "refusal": "c"}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
    ]  # fmt: skip
    assert asked(items, instructions="s")[0].turns == (
        Turn("system", (Text("s"),)),
        Turn("user", (Text("a"),)),
        Turn(
            "assistant",
            (Thinking("x\n\ny", "e", "openai", id="rs_1"), Text("b"), Declined("c"), ToolCall("c1", "f", "{}")),
        ),
        Turn("tool", (ToolResult("c1", (Text("1"),)), ToolResult("c2", (Text("2"),)))),
    )


@pytest.mark.parametrize(
    ("given", "reasoning"),
    [
        (None, None),
        ({"effort": "low"}, Reasoning(True, "low")),
        ({"effort": "none"}, Reasoning(False, "none")),
        ({"summary": "auto"}, Reasoning(True, None, shown=True)),
        ({"effort": None, "summary": None}, None),
    ],
)
def test_reasoning_is_an_effort_and_whether_it_is_shown(given, reasoning):
    assert asked(reasoning=given)[0].reasoning == reasoning


def test_what_may_be_included_is_understood():
    assert asked(include=["reasoning.encrypted_content", "message.output_text.logprobs"])[0].logprobs


def test_advice_is_noted():
    notes = asked(truncation="auto", max_tool_calls=3, stream_options={"include_obfuscation": False}, background=False)[
        1
    ]
    assert [note.partition(":")[0] for note in notes] == [
        "truncation",
        "stream_options.include_obfuscation",
        "max_tool_calls",
    ]
    assert asked(truncation="disabled")[1] == []
    (note,) = asked(client_metadata={"installation_id": "x"})[1]
    assert note.startswith("client_metadata: ")


def test_what_codex_says_beside_every_item_is_noted_once():
    said = {"internal_chat_message_metadata_passthrough": {"turn_id": "x"}}
    items = [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "x"},
    ]
    (note,) = asked([{**item, **said} for item in items])[1]
    assert note.startswith("input.internal_chat_message_metadata_passthrough: ")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"previous_response_id": "r"}, "previous_response_id"),
        ({"conversation": "c"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"background": True}, "background"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "custom", "name": "patch"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "custom_tool_call", "call_id": "c"}]}, "input[0].type"),
        ({"input": [{"role": "critic", "content": "a"}]}, "input[0].role"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": 7}, "input"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path(change, path):
    with pytest.raises(RequestError) as caught:
        asked(**{"input_": change.pop("input", "hi"), **change})
    assert caught.value.refusal.param == path
