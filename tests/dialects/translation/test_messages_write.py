"""Anthropic requests say what was meant, note what they leave out, and refuse the rest."""

import pytest
from support.translation import write

from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Format,
    Options,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    Turn,
)
from jupiter_addons.errors import RequestError

HI = Turn("user", (Text("hi"),))


def written(*turns, options=None, **fields):
    return write("anthropic_messages", Conversation(model="m", turns=turns or (HI,), **fields), options)


def test_a_cap_is_set_where_there_is_none():
    body, notes = written(options=Options(default_max_tokens=7))
    assert body["max_tokens"] == 7 and notes == ["max_tokens: set to 7, the provider wants a cap"]
    assert written(max_tokens=9) == ({**body, "max_tokens": 9}, [])


def test_all_instructions_stand_before_all_messages_and_a_move_is_noted():
    body, notes = written(Turn("system", (Text("a"),)), HI, Turn("system", (Text("b"),), "messages[2]"), max_tokens=1)
    assert body["system"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert notes == ["messages[2]: moved to the system prompt, which stands before all messages"]


def test_only_its_own_seals_go_back():
    thoughts = (Thinking("a", "s", "anthropic"), Thinking("b"), Thinking("c", "s", "openai"), Text("d"))
    body, notes = written(HI, Turn("assistant", thoughts), HI, max_tokens=1)
    assert [block["type"] for block in body["messages"][1]["content"]] == ["thinking", "text"]
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("reasoning", "thinking", "config"),
    [
        (Reasoning(True, "high"), {"type": "adaptive"}, {"effort": "high"}),
        (Reasoning(True, "minimal"), {"type": "adaptive"}, {"effort": "low"}),
        (Reasoning(False, "none"), {"type": "disabled"}, None),
        (Reasoning(True, shown=True), {"type": "adaptive", "display": "summarized"}, None),
        (Reasoning(True, budget_tokens=2000), {"type": "enabled", "budget_tokens": 2000}, None),
    ],
)
def test_an_effort_is_adaptive_thinking(reasoning, thinking, config):
    body, _ = written(reasoning=reasoning)
    assert (body["thinking"], body.get("output_config")) == (thinking, config)


def test_a_tool_choice_needs_tools_and_no_choice_at_all_has_no_parallelism():
    assert "tool_choice" not in written(tool_choice=ToolChoice("auto"))[0]
    body, _ = written(tools=(Tool("f"),), tool_choice=ToolChoice("none"), parallel_tools=False)
    assert body["tool_choice"] == {"type": "none"}
    assert body["tools"] == [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]


BROKEN = Turn("assistant", (ToolCall("c", "f", '{"a":'),), "messages[1]")


@pytest.mark.parametrize(
    ("turns", "fields", "path"),
    [
        ((HI,), {"temperature": 1.5}, "temperature"),
        ((HI,), {"n": 2}, "n"),
        ((HI,), {"seed": 0}, "seed"),
        ((HI,), {"logprobs": True}, "logprobs"),
        ((HI,), {"format": Format()}, "response_format"),
        ((HI,), {"openai": {"verbosity": "low"}}, "verbosity"),
        ((HI, BROKEN, HI), {}, "messages[1]"),
        ((HI, Turn("assistant", (Text("a"),), "messages[1]")), {}, "messages[1]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(turns, fields, path):
    with pytest.raises(RequestError) as caught:
        written(*turns, **fields)
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("unsupported_by_provider", path)
