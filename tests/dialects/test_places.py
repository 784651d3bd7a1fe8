"""Every text of a message has a place, and a place is where its text stands."""

import pytest

from jupiter_addons.dialects import anthropic_messages, openai_chat, places
from jupiter_addons.dialects.registry import PARSERS

OPENAI = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be kind"},
        {"role": "user", "name": "joe", "content": [
            {"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}},
        ]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a": "b"}'}},
        ]},
        {"role": "tool", "tool_call_id": "t1", "content": "found"},
    ],
}  # fmt: skip
ANTHROPIC = {
    "model": "m",
    "max_tokens": 5,
    "system": [{"type": "text", "text": "be kind", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "abc"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"to": "joe", "deep": [{"name": "x"}]}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "found"}]},
            {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        ]},
    ],
}  # fmt: skip


def at(body, path):
    for step in path:
        body = body[step]
    return body


@pytest.mark.parametrize(("dialect", "body"), [("openai_chat", OPENAI), ("anthropic_messages", ANTHROPIC)])
def test_a_place_is_where_its_text_stands_and_all_that_rules_read_has_one(dialect, body):
    parse = openai_chat.parse if dialect == "openai_chat" else anthropic_messages.parse
    call, found = parse(body), places.turns(dialect, body)
    assert [turn.role for turn in found] == [message.role for message in call.messages]
    for number, (turn, message) in enumerate(zip(found, call.messages, strict=True)):
        assert all(at(body, place.path) == place.text and place.message == number for place in turn.places)
        for line in filter(None, message.text.split("\n")):
            if not line.startswith('{"to"'):  # an object as JSON: its texts have places of their own
                assert line in [place.text for place in turn.places]


def test_what_only_names_or_encodes_has_no_place():
    texts = [
        p.text
        for body, d in ((OPENAI, "openai_chat"), (ANTHROPIC, "anthropic_messages"))
        for t in places.turns(d, body)
        for p in t.places
    ]
    assert texts == [
        "be kind", "look", '{"a": "b"}', "found",
        "be kind", "hi", "hm", "joe", "x", "found", "t", "words",
    ]  # fmt: skip
    assert [p.is_json for turn in places.turns("openai_chat", OPENAI) for p in turn.places] == [
        False,
        False,
        True,
        False,
    ]


def test_answers():
    openai = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a", "tool_calls": [
        {"id": "t", "function": {"name": "f", "arguments": "{}"}}]}, "logprobs": {"content": []}, "finish_reason": "stop"}]}  # fmt: skip
    assert [(p.text, p.is_json) for p in places.answer("openai_chat", openai)] == [("a", False), ("{}", True)]
    assert places.token_probabilities(openai) == [("choices", 0, "logprobs")]
    anthropic = {
        "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "name": "f", "input": {"q": "b"}}],
        "stop_reason": "x",
    }
    assert [p.text for p in places.answer("anthropic_messages", anthropic)] == ["a", "b"]


@pytest.mark.parametrize(
    ("dialect", "chunk", "found", "closes"),
    [
        ("openai_chat", {"choices": [{"index": 1, "delta": {"content": "a"}, "finish_reason": None}]}, [((1, "content"), "a", False)], frozenset()),
        ("openai_chat", {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 2, "function": {"arguments": "{"}}]}}]},
         [((0, 2, "tool_calls", "function", "arguments"), "{", True)], frozenset()),
        ("openai_chat", {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, [], frozenset({0})),
        ("openai_chat", {"choices": [], "usage": {}}, [], frozenset()),
        ("openai_chat", {"error": {"message": "m"}}, [], None),
        ("anthropic_messages", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, [((0, "text"), "", False)], frozenset()),
        ("anthropic_messages", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}, [((0, "text"), "a", False)], frozenset()),
        ("anthropic_messages", {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}}, [((1, "partial_json"), "{", True)], frozenset()),
        ("anthropic_messages", {"type": "content_block_stop", "index": 0}, [], frozenset({0})),
        ("anthropic_messages", {"type": "message_stop"}, [], None),
        ("anthropic_messages", {"type": "message_start", "message": {"id": "i", "role": "assistant", "model": "m", "content": []}}, [], frozenset()),
    ],
)  # fmt: skip
def test_events(dialect, chunk, found, closes):
    assert [(p.channel, p.text, p.is_json) for p in places.event(dialect, chunk)] == found
    assert places.closed(dialect, chunk) == closes
    assert all(at(chunk, p.path) == p.text for p in places.event(dialect, chunk))


RESPONSES = {
    "model": "m",
    "instructions": "be kind",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "look"}, {"type": "input_image", "image_url": "data:image/png;base64,aGk="}]},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": "b"}'},
        {"type": "function_call_output", "call_id": "c", "output": "found"},
    ],
}  # fmt: skip
OTHERS = {
    "openai_responses": RESPONSES,
    "openai_completions": {"model": "m", "prompt": ["one", "two"], "suffix": "end"},
    "openai_embeddings": {"model": "m", "input": "one"},
    "anthropic_count_tokens": ANTHROPIC,
    "ollama_chat": {"model": "m", "messages": [
        {"role": "user", "content": "look", "images": ["aGk="]},
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [{"function": {"name": "f", "arguments": {"name": "joe"}}}]},
    ]},
    "ollama_generate": {"model": "m", "system": "be kind", "template": "t", "prompt": "hi", "suffix": "end"},
    "ollama_embed": {"model": "m", "input": ["one", "two"]},
}  # fmt: skip


@pytest.mark.parametrize("dialect", OTHERS)
def test_in_every_dialect_a_place_is_where_its_text_stands(dialect):
    body = OTHERS[dialect]
    call, found = PARSERS[dialect](body), places.turns(dialect, body)
    assert [turn.role for turn in found] == [message.role for message in call.messages]
    for number, (turn, message) in enumerate(zip(found, call.messages, strict=True)):
        texts = [place.text for place in turn.places]
        assert all(at(body, place.path) == place.text and place.message == number for place in turn.places)
        assert all(line in texts for line in message.text.split("\n") if line and not line.startswith('{"'))
        assert not any("aGk=" in text for text in texts)


def test_names_that_a_model_has_given_hide_nothing():
    (_, called) = places.turns("ollama_chat", OTHERS["ollama_chat"])
    assert [place.text for place in called.places] == ["", "hm", "joe"]


@pytest.mark.parametrize("tokens", [[1, 2], [[1], [2, 3]]])
@pytest.mark.parametrize(("dialect", "name"), [("openai_completions", "prompt"), ("ollama_embed", "input")])
def test_token_numbers_are_messages_without_words(dialect, name, tokens):
    body = {"model": "m", name: tokens}
    found = places.turns(dialect, body)
    assert len(found) == len(PARSERS[dialect](body).messages)
    assert not any(turn.places for turn in found)


def test_answers_of_other_dialects():
    response = {"id": "r", "instructions": "no words of the model's", "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "a", "logprobs": [{"token": "a"}], "annotations": []}]},
        {"type": "function_call", "name": "f", "arguments": "{}"},
    ]}  # fmt: skip
    assert [(p.text, p.is_json) for p in places.answer("openai_responses", response)] == [("a", False), ("{}", True)]
    assert places.token_probabilities(response) == [("output", 0, "content", 0, "logprobs")]
    chat = {
        "message": {
            "role": "assistant",
            "content": "a",
            "tool_calls": [{"function": {"name": "f", "arguments": {"q": "b"}}}],
        }
    }
    assert [p.text for p in places.answer("ollama_chat", chat)] == ["a", "b"]
    assert [p.text for p in places.answer("ollama_generate", {"response": "a", "thinking": "hm", "done": True})] == [
        "a",
        "hm",
    ]
    assert places.answer("openai_embeddings", {"data": [{"embedding": "AAAA"}]}) == []


@pytest.mark.parametrize(
    ("dialect", "chunk", "found", "closes"),
    [
        ("openai_responses", {"type": "response.output_text.delta", "item_id": "i", "output_index": 1, "content_index": 0, "delta": "a", "obfuscation": "x"},
         [((1, 0, "response.output_text.delta"), "a", False, False)], frozenset({"whole"})),
        ("openai_responses", {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{"},
         [((2, None, "response.function_call_arguments.delta"), "{", True, False)], frozenset({"whole"})),
        ("openai_responses", {"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "ab"},
         [(("whole", "text"), "ab", False, True)], frozenset({"whole", 1})),
        ("openai_responses", {"type": "response.output_item.done", "output_index": 1, "item": {"id": "i", "content": [{"type": "output_text", "text": "ab"}]}},
         [(("whole", "item", "content", 0, "text"), "ab", False, True)], frozenset({"whole", 1})),
        ("openai_responses", {"type": "response.completed", "response": {"id": "r", "instructions": "i", "output": [{"summary": [{"text": "s"}]}]}},
         [(("whole", "response", "output", 0, "summary", 0, "text"), "s", False, True)], None),
        ("openai_responses", {"type": "error", "message": "m"}, [], None),
        ("ollama_chat", {"message": {"role": "assistant", "content": "a"}, "done": False}, [((0, "message", "content"), "a", False, False)], frozenset({"whole"})),
        ("ollama_chat", {"message": {"content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"q": "b"}}}]}},
         [((0, "message", "content"), "", False, False), (("whole", "message", "tool_calls", 0, "function", "arguments", "q"), "b", False, False)], frozenset({"whole"})),
        ("ollama_generate", {"response": "a", "done": True}, [((0, "response"), "a", False, False)], None),
        ("openai_completions", {"choices": [{"index": 0, "text": "a", "finish_reason": None}]}, [((0,), "a", False, False)], frozenset()),
    ],
)  # fmt: skip
def test_events_of_other_dialects(dialect, chunk, found, closes):
    assert [(p.channel, p.text, p.is_json, p.repeats) for p in places.event(dialect, chunk)] == found
    assert places.closed(dialect, chunk) == closes
    assert all(at(chunk, p.path) == p.text for p in places.event(dialect, chunk))


@pytest.mark.parametrize(
    ("dialect", "chunk"),
    [
        ("openai_chat", {"choices": ["words"]}),
        ("openai_chat", {"choices": [["words"]]}),
        ("openai_chat", {"choices": [{"index": [], "delta": {"content": "words"}, "finish_reason": "stop"}]}),
        ("openai_chat", {"choices": [{"index": {}, "delta": "words"}]}),
        ("openai_chat", {"choices": [{"delta": {"tool_calls": [{"index": [], "function": {"arguments": "words"}}]}}]}),
        ("anthropic_messages", {"type": "content_block_delta", "index": [], "delta": {"text": "words"}}),
        ("anthropic_messages", {"type": "content_block_stop", "index": {}, "delta": "words"}),
        (
            "openai_responses",
            {"type": "response.output_text.delta", "output_index": [], "content_index": {}, "delta": "words"},
        ),
        ("openai_responses", {"type": "response.output_text.done", "output_index": [], "text": "words"}),
    ],
)
def test_an_event_of_any_shape_has_its_words_in_a_place(dialect, chunk):
    """A provider can send anything; what is looked up by its channel has to be hashable."""
    (place,) = places.event(dialect, chunk)
    assert place.text == "words"
    assert hash(place.channel) is not None
    assert places.closed(dialect, chunk) is not None
