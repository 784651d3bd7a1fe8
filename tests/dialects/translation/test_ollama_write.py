"""Ollama requests say what was meant, note what they leave out, and refuse the rest."""

import pytest
from support.translation import write

from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Document,
    Image,
    Options,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from jupiter_addons.errors import RequestError

HI = Turn("user", (Text("hi"),), "messages[0]")


def written(*turns, dialect="ollama_chat", options=None, **fields):
    return write(dialect, Conversation(model=fields.pop("model", "m"), turns=turns or (HI,), **fields), options)


def test_a_prompt_is_never_cut_silently_and_streaming_is_always_said():
    body, _ = written(options=Options(context_tokens=32768))
    assert body["truncate"] is False and body["stream"] is False and body["options"] == {"num_ctx": 32768}


def test_results_name_their_tool_and_pictures_follow_them():
    asking = Turn("assistant", (ToolCall("c", "f", '{"a":1}'), ToolCall("d", "g", "")))
    results = Turn(
        "tool", (ToolResult("c", (Text("1"), Image("iVBORw0KGgo=", "image/png")), is_error=True), ToolResult("x", ()))
    )
    body, notes = written(HI, asking, results)
    assert body["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}},
                {"id": "d", "function": {"name": "g", "arguments": {}}},
            ],
        },
        {"role": "tool", "content": "1", "tool_name": "f", "tool_call_id": "c"},
        {"role": "tool", "content": "", "tool_call_id": "x"},
        {"role": "user", "content": "", "images": ["iVBORw0KGgo="]},
    ]
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("model", "reasoning", "think", "notes"),
    [
        ("qwen3", None, None, 0),
        ("qwen3", Reasoning(True), True, 0),
        ("qwen3", Reasoning(False, "none"), False, 0),
        ("qwen3", Reasoning(True, "high"), True, 1),
        ("qwen3", Reasoning(True, budget_tokens=2000, shown=True), True, 2),
        ("gpt-oss:20b", Reasoning(True, "high"), "high", 0),
        ("gpt-oss:20b", Reasoning(True, "max"), True, 1),
    ],
)
def test_only_one_family_of_models_takes_an_effort(model, reasoning, think, notes):
    body, noted = written(model=model, reasoning=reasoning)
    assert (body.get("think"), len(noted)) == (think, notes)


def test_no_call_is_asked_for_by_leaving_the_tools_out():
    body, notes = written(tools=(Tool("f"),), tool_choice=ToolChoice("none"))
    assert "tools" not in body and len(notes) == 1
    body, notes = written(
        tools=(Tool("f", strict=True),), tool_choice=ToolChoice("auto"), parallel_tools=True, user="u"
    )
    assert body["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert len(notes) == 2


def test_sealed_reasoning_is_left_out_and_plain_reasoning_is_not():
    thoughts = (Thinking("a", "s", "anthropic"), Thinking("b"), Text("c"), Text("d"))
    body, notes = written(HI, Turn("assistant", thoughts), HI)
    assert body["messages"][1] == {"role": "assistant", "content": "c\nd", "thinking": "b"}
    assert len(notes) == 1


def test_a_generation_has_one_turn():
    picture = Image("/9j/", "image/jpeg", detail="low")
    body, notes = written(Turn("system", (Text("s"),)), Turn("user", (Text("p"), picture)), dialect="ollama_generate")
    assert (body["system"], body["prompt"], body["images"]) == ("s", "p", ["/9j/"])
    assert len(notes) == 1


BROKEN = Turn("assistant", (ToolCall("c", "f", "[1]"),), "messages[1]")
BY_URL = Turn("user", (Image(url="https://example.com/a.png"),), "messages[1]")
FILE = Turn("user", (Document("AAAA", "application/pdf"),), "messages[1]")


@pytest.mark.parametrize(
    ("dialect", "turns", "fields", "path"),
    [
        ("ollama_chat", (HI,), {"n": 2}, "n"),
        ("ollama_chat", (HI,), {"logit_bias": {"1": 1}}, "logit_bias"),
        ("ollama_chat", (HI,), {"tools": (Tool("f"),), "tool_choice": ToolChoice("required")}, "tool_choice"),
        ("ollama_chat", (HI,), {"tools": (Tool("f"),), "parallel_tools": False}, "parallel_tool_calls"),
        ("ollama_chat", (HI, BROKEN, HI), {}, "messages[1]"),
        ("ollama_chat", (HI, BY_URL), {}, "messages[1]"),
        ("ollama_chat", (HI, FILE), {}, "messages[1]"),
        ("ollama_chat", (HI, Turn("assistant", (Text("a"),), "messages[1]")), {}, "messages[1]"),
        ("ollama_generate", (), {"tools": (Tool("f"),)}, "messages"),
        ("ollama_generate", (HI, HI), {}, "messages"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(dialect, turns, fields, path):
    with pytest.raises(RequestError) as caught:
        written(*turns, dialect=dialect, **fields)
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("unsupported_by_provider", path)
