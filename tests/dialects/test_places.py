"""Every text of a message has a place, and a place is where its text stands."""

import pytest

from jupiter_addons.dialects import anthropic_messages, openai_chat, places

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


@pytest.mark.parametrize(
    ("dialect", "body", "name", "paths"),
    [
        ("openai_chat", {}, "max_tokens", [("max_completion_tokens",)]),
        ("openai_chat", {"max_tokens": 5}, "max_tokens", [("max_tokens",)]),
        ("openai_chat", {"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", [("max_completion_tokens",), ("max_tokens",)]),
        ("anthropic_messages", {"max_tokens": 5}, "max_tokens", [("max_tokens",)]),
        ("anthropic_messages", {}, "stop", [("stop_sequences",)]),
        ("anthropic_messages", {}, "user", [("metadata", "user_id")]),
        ("openai_chat", {}, "metadata.team", [("metadata", "team")]),
    ],
)  # fmt: skip
def test_a_parameter_is_set_where_the_client_or_the_dialect_has_it(dialect, body, name, paths):
    assert places.parameter(dialect, body, name) == paths


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
    ],
)
def test_an_event_of_any_shape_has_its_words_in_a_place(dialect, chunk):
    """A provider can send anything; what is looked up by its channel has to be hashable."""
    (place,) = places.event(dialect, chunk)
    assert place.text == "words"
    assert hash(place.channel) is not None
    assert places.closed(dialect, chunk) is not None
