"""Chat completions requests say what was meant, note what they leave out, and refuse the rest."""

import pytest
from support.translation import write

from jupiter_addons.dialects.translation.chat_write import effort_of
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Document,
    Image,
    Options,
    Reasoning,
    Text,
    Thinking,
    ToolResult,
    Turn,
)
from jupiter_addons.errors import RequestError


def written(*turns, options=None, **fields):
    return write("openai_chat", Conversation(model="m", turns=turns, **fields), options)


def test_a_stream_always_ends_with_its_usage():
    assert written(stream=True)[0]["stream_options"] == {"include_usage": True}


def test_the_cap_has_two_names():
    assert written(max_tokens=5)[0]["max_completion_tokens"] == 5
    assert written(max_tokens=5, options=Options(older_cap=True))[0]["max_tokens"] == 5


def test_pictures_of_a_tool_follow_its_result():
    result = ToolResult("c", (Image("AAAA", "image/png"),), is_error=True)
    body, notes = written(Turn("tool", (result,), "messages[2]"))
    assert [message["role"] for message in body["messages"]] == ["tool", "user"]
    assert body["messages"][0]["content"] == ""
    assert [note.partition(":")[0] for note in notes] == ["messages[2].is_error", "messages[2]"]


def test_earlier_reasoning_is_left_out_and_noted():
    body, notes = written(Turn("assistant", (Thinking("hm", "s", "anthropic"), Text("a"))))
    assert body["messages"] == [{"role": "assistant", "content": "a"}]
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("reasoning", "effort", "notes"),
    [
        (None, None, 0),
        (Reasoning(True, "high"), "high", 0),
        (Reasoning(False, "none"), "none", 0),
        (Reasoning(True, budget_tokens=1024), "low", 0),
        (Reasoning(True, budget_tokens=4096), "medium", 0),
        (Reasoning(True, budget_tokens=16384), "high", 0),
        (Reasoning(True), None, 1),
        (Reasoning(False), None, 1),
        (Reasoning(True, "low", shown=False), "low", 1),
    ],
)
def test_a_budget_is_an_effort_by_its_size(reasoning, effort, notes):
    noted = []
    assert effort_of(reasoning, noted) == effort
    assert len(noted) == notes


@pytest.mark.parametrize(
    ("turns", "fields", "path"),
    [
        ((), {"top_k": 5}, "top_k"),
        ((Turn("assistant", (Text("{"),), "messages[3]"),), {"prefill": True}, "messages[3]"),
        ((Turn("user", (Document(url="https://example.com/a.pdf"),), "messages[0]"),), {}, "messages[0]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(turns, fields, path):
    with pytest.raises(RequestError) as caught:
        written(*turns, **fields)
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("unsupported_by_provider", path)
