"""Ollama requests are read whole, or refused by the path that cannot be."""

import pytest
from support.translation import read

from jupiter_addons.dialects.translation.conversation import Image, Reasoning, Text, ToolCall, ToolResult, Turn
from jupiter_addons.errors import RequestError

HI = {"role": "user", "content": "hi"}


def asked(*messages, **fields):
    return read("ollama_chat", {"model": "m", "messages": list(messages or (HI,)), **fields})


def call(name, id_=None):
    found = {"function": {"name": name, "arguments": {"a": 1}}}
    return found if id_ is None else {**found, "id": id_}


def test_results_find_their_calls_by_id_by_name_or_by_order():
    asking = {"role": "assistant", "content": "", "tool_calls": [call("f"), call("g"), call("f"), call("h", "x")]}
    results = [
        {"role": "tool", "content": "1", "tool_name": "g"},
        {"role": "tool", "content": "2", "tool_call_id": "x"},
        {"role": "tool", "content": "3", "tool_name": "f"},
        {"role": "tool", "content": "4"},
    ]
    turns = asked(HI, asking, *results)[0].turns
    assert turns[1].parts[0] == ToolCall("call_1_0", "f", '{"a":1}')
    assert [result.call_id for result in turns[2].parts] == ["call_1_1", "x", "call_1_0", "call_1_2"]
    assert turns[2].parts[0] == ToolResult("call_1_1", (Text("1"),))


def test_an_answer_is_streamed_unless_told_otherwise():
    assert asked()[0].stream
    assert not asked(stream=False)[0].stream


@pytest.mark.parametrize(
    ("data", "kind"),
    [("iVBORw0KGgoA", "image/png"), ("/9j/4A", "image/jpeg"), ("R0lGODlh", "image/gif"), ("UklGRg", "image/webp")],
)
def test_a_picture_is_known_by_how_it_begins(data, kind):
    assert asked({**HI, "images": [data]})[0].turns[0] == Turn("user", (Text("hi"), Image(data, kind)))


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [(None, None), (True, Reasoning(True)), (False, Reasoning(False)), ("high", Reasoning(True, "high"))],
)
def test_thinking_is_a_switch_or_an_effort(think, reasoning):
    assert asked(think=think)[0].reasoning == reasoning


def test_how_the_server_runs_is_noted():
    notes = asked(keep_alive="5m", truncate=True, shift=False, options={"num_ctx": 8192, "num_gpu": 1})[1]
    assert [note.partition(":")[0] for note in notes] == [
        "truncate",
        "options.num_ctx",
        "options.num_gpu",
        "keep_alive",
    ]


def test_a_generation_is_a_turn_of_the_user():
    body = {
        "model": "m",
        "system": "s",
        "prompt": "p",
        "images": ["/9j/"],
        "options": {"num_predict": -1, "stop": "END"},
    }
    found, notes = read("ollama_generate", body)
    assert found.turns == (Turn("system", (Text("s"),)), Turn("user", (Text("p"), Image("/9j/", "image/jpeg"))))
    assert (found.max_tokens, found.stop, found.raw, notes) == (None, ("END",), False, [])
    assert read("ollama_generate", {"model": "m", "prompt": "p", "raw": True})[0].raw


@pytest.mark.parametrize(
    ("dialect", "body", "path"),
    [
        ("ollama_chat", {"messages": [{"role": "critic"}]}, "messages[0].role"),
        ("ollama_chat", {"messages": [{**HI, "images": ["AAAA"]}]}, "messages[0].images[0]"),
        ("ollama_chat", {"messages": [{**HI, "images": [1]}]}, "messages[0].images[0]"),
        ("ollama_chat", {"messages": [{"role": "tool", "content": "1"}]}, "messages[0]"),
        ("ollama_chat", {"messages": [{**HI, "name": "bob"}]}, "messages[0].name"),
        ("ollama_chat", {"messages": [HI], "options": {"mirostat": 2}}, "options.mirostat"),
        ("ollama_chat", {"messages": [HI], "format": "xml"}, "format"),
        ("ollama_chat", {"messages": [HI], "think": 3}, "think"),
        ("ollama_chat", {"messages": [HI], "tools": [{"type": "browser"}]}, "tools[0].type"),
        ("ollama_generate", {"prompt": "p", "template": "t"}, "template"),
        ("ollama_generate", {"prompt": "p", "suffix": "t"}, "suffix"),
        ("ollama_generate", {"prompt": "p", "context": [1]}, "context"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_path(dialect, body, path):
    with pytest.raises(RequestError) as caught:
        read(dialect, {"model": "m", **body})
    assert caught.value.refusal.param == path
