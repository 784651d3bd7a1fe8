"""Responses requests say what was meant, note what they leave out, and refuse the rest."""

import pytest
from support.translation import write

from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Declined,
    Image,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolResult,
    Turn,
)
from jupiter_addons.errors import RequestError

HI = Turn("user", (Text("hi"),), "messages[0]")


def written(*turns, **fields):
    return write("openai_responses", Conversation(model="m", turns=turns or (HI,), **fields))


def test_nothing_is_stored_unless_the_client_said_so():
    assert written()[0]["store"] is False
    assert written(openai={"store": True})[0]["store"] is True


@pytest.mark.parametrize(
    ("reasoning", "said", "included"),
    [
        (None, None, None),
        (Reasoning(True, "high"), {"effort": "high"}, ["reasoning.encrypted_content"]),
        (
            Reasoning(True, budget_tokens=1024, shown=True),
            {"effort": "low", "summary": "auto"},
            ["reasoning.encrypted_content"],
        ),
        (Reasoning(False, "none"), {"effort": "none"}, None),
        (Reasoning(True), None, ["reasoning.encrypted_content"]),
    ],
)
def test_reasoning_comes_sealed_because_nothing_is_stored(reasoning, said, included):
    body, _ = written(reasoning=reasoning)
    assert (body.get("reasoning"), body.get("include")) == (said, included)


def test_strictness_is_always_said():
    tools = written(tools=(Tool("f"), Tool("g", strict=True)))[0]["tools"]
    assert tools == [
        {"type": "function", "name": "f", "parameters": None, "strict": False},
        {"type": "function", "name": "g", "parameters": None, "strict": True},
    ]


def test_only_its_own_seals_go_back_and_what_was_declined_is_text():
    thoughts = (Thinking("a", "s", "openai", id="rs_1"), Thinking("b", "s", "anthropic"), Declined("no"))
    body, notes = written(HI, Turn("assistant", thoughts), HI)
    assert body["input"][1:3] == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}],
            "encrypted_content": "s",
        },
        {"type": "message", "role": "assistant", "content": "no"},
    ]
    assert len(notes) == 1


def test_results_may_have_pictures():
    result = ToolResult("c", (Text("a"), Image("AAAA", "image/png")), is_error=True, cache={})
    body, notes = written(HI, Turn("tool", (result,), "messages[1]"))
    assert [part["type"] for part in body["input"][1]["output"]] == ["input_text", "input_image"]
    assert [note.partition(":")[0] for note in notes] == ["messages[1].is_error", "messages[1].cache_control"]


@pytest.mark.parametrize(
    ("turns", "fields", "path"),
    [
        ((HI,), {"stop": ("END",)}, "stop"),
        ((HI,), {"top_k": 1}, "top_k"),
        ((HI,), {"seed": 1}, "seed"),
        ((HI,), {"n": 2}, "n"),
        ((HI, Turn("assistant", (Text("{"),), "messages[1]")), {"prefill": True}, "messages[1]"),
        ((HI, Turn("assistant", (Image("AAAA", "image/png"),), "messages[1]"), HI), {}, "messages[1]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(turns, fields, path):
    with pytest.raises(RequestError) as caught:
        written(*turns, **fields)
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("unsupported_by_provider", path)
