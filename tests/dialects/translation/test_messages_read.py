"""Anthropic requests are read whole, or refused by the path that cannot be."""

import pytest
from support.translation import read

from jupiter_addons.dialects.translation.conversation import Reasoning, Text, ToolChoice, ToolResult, Turn
from jupiter_addons.errors import RequestError


def asked(*messages, **fields):
    return read("anthropic_messages", {"model": "m", "max_tokens": 5, "messages": list(messages), **fields})


def user(content="hi"):
    return {"role": "user", "content": content}


def test_results_stand_apart_from_what_else_the_user_says():
    result = {"type": "tool_result", "tool_use_id": "t", "content": "1"}
    turns = asked(user([result, {**result, "tool_use_id": "u"}, {"type": "text", "text": "and?"}]))[0].turns
    assert turns == (
        Turn("tool", (ToolResult("t", (Text("1"),)), ToolResult("u", (Text("1"),)))),
        Turn("user", (Text("and?"),)),
    )


def test_a_system_message_may_stand_anywhere():
    turns = asked(user(), {"role": "system", "content": "b"}, system="a")[0].turns
    assert [turn.role for turn in turns] == ["system", "user", "system"]


def test_an_answer_that_is_begun_is_a_prefill():
    assert asked(user(), {"role": "assistant", "content": "{"})[0].prefill
    assert not asked(user())[0].prefill


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, Reasoning(False)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, Reasoning(True, "low")),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}},
            Reasoning(True, None, 2000, False),
        ),
        ({"output_config": {"effort": "max"}}, Reasoning(True, "max")),
    ],
)
def test_thinking_and_effort_are_one_thing(fields, reasoning):
    assert asked(user(), **fields)[0].reasoning == reasoning


def test_a_choice_says_also_whether_one_call_is_the_most():
    found = asked(user(), tool_choice={"type": "any", "disable_parallel_tool_use": True})[0]
    assert (found.tool_choice, found.parallel_tools) == (ToolChoice("required"), False)


def test_advice_is_noted():
    block = {"type": "text", "text": "a", "citations": [{"type": "char_location"}]}
    notes = asked(
        user(),
        {"role": "assistant", "content": [block]},
        user(),
        service_tier="auto",
        cache_control={"type": "ephemeral"},
    )[1]
    assert [note.partition(":")[0] for note in notes] == [
        "messages[1].content[0].citations",
        "service_tier",
        "cache_control",
    ]


RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "thinking", "thinking": "a"}]}
FILE = {"type": "image", "source": {"type": "file", "file_id": "f"}}
CITED = {"type": "document", "source": {"type": "text", "data": "a"}, "citations": {"enabled": True}}
CALLED = {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "code_execution_20250825"}}


@pytest.mark.parametrize(
    ("content", "fields", "path"),
    [
        ("a", {"mcp_servers": [{}]}, "mcp_servers"),
        ("a", {"container": "c"}, "container"),
        ("a", {"inference_geo": "eu"}, "inference_geo"),
        ("a", {"speed": "fast"}, "speed"),
        ("a", {"thinking": {"type": "between_tools"}}, "thinking.type"),
        ("a", {"tool_choice": {"type": "two"}}, "tool_choice.type"),
        ("a", {"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ("a", {"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ("a", {"tools": [{"name": "f", "input_schema": {}, "defer_loading": True}]}, "tools[0].defer_loading"),
        ("a", {"tools": [{"name": "f", "input_schema": {}, "input_examples": [{}]}]}, "tools[0].input_examples"),
        ([{"type": "search_result"}], {}, "messages[0].content[0].type"),
        ([FILE], {}, "messages[0].content[0].source.type"),
        ([RESULT], {}, "messages[0].content[0].content"),
        ([CITED], {}, "messages[0].content[0].citations"),
        ([CALLED], {}, "messages[0].content[0].caller"),
        ([{"type": "text", "text": 1}], {}, "messages[0].content[0].text"),
        (7, {}, "messages[0].content"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path(content, fields, path):
    with pytest.raises(RequestError) as caught:
        asked(user(content), **fields)
    assert caught.value.refusal.param == path
