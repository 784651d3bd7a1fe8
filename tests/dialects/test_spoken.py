"""Rules read what a model reads: nothing that a redaction would find is hidden from a rule that denies."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupiter_addons.dialects.places import turns
from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.spoken import beside, offered, spoken, unescaped, unread

SECRET = "the-secret"


def call(dialect, *messages, **more):
    return PARSERS[dialect]({"model": "m", "max_tokens": 5, "messages": list(messages), **more})


def user(*parts):
    return {"role": "user", "content": list(parts)}


def calling(arguments):
    return {
        "role": "assistant",
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": arguments}}],
    }


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        ("openai_chat", {"role": "assistant", "function_call": {"name": "f", "arguments": SECRET}}),
        ("openai_chat", {"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"name": "f", "input": SECRET}}]}),
        ("openai_chat", {"role": "assistant", "content": "a", "refusal": SECRET}),
        ("openai_chat", {"role": "assistant", "content": "a", "reasoning_content": SECRET}),
        ("openai_chat", {"role": "user", "content": "a", "Content": SECRET}),
        ("openai_chat", user({"type": "text", "text": "a", "refusal": SECRET})),
        ("openai_chat", user({"type": "of tomorrow", "words": {"are": [SECRET]}})),
        ("openai_chat", calling('{"to": "the\\u002dsecret"}')),
        ("openai_chat", calling('{"to": 1, "to": 2, "the\\u002dsecret": 3}')),
        ("anthropic_messages", user({"type": "search_result", "title": "t", "content": [{"type": "text", "text": SECRET}]})),
        ("anthropic_messages", user({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": SECRET}]}})),
        ("anthropic_messages", user({"type": "document", "context": SECRET, "source": {"type": "text", "data": "a"}})),
        ("anthropic_messages", user({"type": "tool_result", "text": "a", "content": SECRET})),
        ("anthropic_messages", user({"type": "server_tool_use", "name": "f", "input": {"q": SECRET}})),
        ("anthropic_messages", user({"type": "tool_use", "name": "f", "input": {SECRET: True}})),
        ("anthropic_messages", user({"type": "tool_use", "name": "f", "input": {"q": f'"{SECRET}'}})),
    ],
)  # fmt: skip
def test_a_rule_reads_what_a_model_may_read_wherever_it_stands(dialect, message):
    (text,) = spoken(call(dialect, message))
    assert SECRET in text


def test_what_is_plain_is_as_it_was_parsed():
    asked = call("openai_chat", {"role": "system", "content": "s"}, {"role": "user", "content": "a\nb"})
    assert spoken(asked) == ["s", "a\nb"]
    asked = call("anthropic_messages", {"role": "user", "content": "a"}, system=[{"type": "text", "text": "s"}])
    assert spoken(asked) == ["s", "a"]


def test_what_a_tool_is_given_is_read_once():
    asked = call("anthropic_messages", user({"type": "tool_use", "name": "f", "input": {"q": "b", "n": [1]}}))
    assert spoken(asked) == ['{"q":"b","n":[1]}']


@pytest.mark.parametrize(
    ("dialect", "body", "texts"),
    [
        ("openai_completions", {"prompt": ["a", "b"], "suffix": "c"}, ["a", "b", "c"]),
        ("openai_embeddings", {"input": "a"}, ["a"]),
        ("ollama_generate", {"system": "s"}, ["s", ""]),
        ("ollama_chat", {"messages": [{"role": "user", "content": "a", "images": ["aGk="]}]}, ["a"]),
        ("openai_responses", {"instructions": "s", "input": [{"role": "user", "content": "a"}, {"type": "function_call_output", "output": "o"}]},
         ["s", "a", "o"]),
    ],
)  # fmt: skip
def test_every_dialect_is_read_and_a_prompt_may_be_left_out(dialect, body, texts):
    assert spoken(PARSERS[dialect]({"model": "m", **body})) == texts


def test_what_stands_beside_the_messages_has_a_role_of_its_own():
    asked = call(
        "openai_chat",
        {"role": "user", "content": "a", "name": "joe"},
        tools=[{"type": "function", "function": {"name": "f", "description": "tells"}}],
        prediction={"type": "content", "content": "so"},
    )
    found = dict(beside(asked))
    assert found["user"] == "joe"
    assert "tells" in found["developer"]
    assert "so" in found["assistant"]
    assert list(beside(call("openai_chat", {"role": "user", "content": "a"}))) == []


@pytest.mark.parametrize(
    "more",
    [
        {"functions": [{"name": "shell"}]},
        {"tools": [{"type": "custom", "custom": {"name": "shell"}}]},
        {"tools": [{"type": "custom", "function": {"name": "harmless"}, "custom": {"name": "shell"}}]},
        {"tools": [{"type": "function", "function": {"name": "harmless"}, "name": "shell"}]},
    ],
)
def test_a_tool_is_offered_under_every_name_it_goes_by(more):
    assert "shell" in offered(call("openai_chat", {"role": "user", "content": "a"}, **more))


def test_a_tool_with_one_name_has_one():
    function = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"name": {}}}}}
    assert offered(call("openai_chat", {"role": "user", "content": "a"}, tools=[function])) == ["f"]


def test_escapes_that_hide_nothing_are_not_read_twice():
    assert list(unescaped('{"a": "b\\nc", "d": "\\u0040 \\/"}')) == ["@ /"]
    assert list(unescaped('"\\u00" \\u0040')) == []
    assert list(unescaped('"\\u0040\\ud800"')) == ["@\ufffd"]


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("openai_chat", {"choices": [{"message": {"content": [{"type": "text", "text": SECRET}]}}]}),
        ("openai_chat", {"choices": [{"message": {"function_call": {"name": "f", "arguments": SECRET}}}]}),
        ("openai_chat", {"choices": [{"message": {"audio": {"transcript": SECRET}}}]}),
        (
            "openai_chat",
            {"choices": [{"message": {"tool_calls": [{"function": {"arguments": '"the\\u002dsecret"'}}]}}]},
        ),
        ("anthropic_messages", {"content": [{"type": "tool_use", "name": "f", "input": {"a": SECRET}}]}),
        ("anthropic_messages", {"content": [{"type": "tool_use", "name": "f", "input": {SECRET: 1}}]}),
        ("anthropic_messages", {"content": [{"type": "text", "text": "a", "citations": [{"cited_text": SECRET}]}]}),
    ],
)
def test_what_an_answer_says_beside_what_was_read_of_it_is_found(dialect, body):
    assert SECRET in "\n".join(unread(dialect, body, "a"))


def test_of_an_answer_that_was_read_nothing_is_left():
    body = {"choices": [{"message": {"role": "assistant", "content": "hi", "refusal": None}, "finish_reason": "stop"}]}
    assert unread("openai_chat", body, "hi") == []
    many = {"choices": [{"message": {"content": "hi"}} for _ in range(2000)]}
    assert len(unread("openai_chat", many, "hi")) == 2000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "input", "x"]), below, max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["extra", "tool_calls", "input", "refusal"]), JSON, max_size=3))
def test_no_word_that_a_redaction_looks_at_is_missing(extra):
    asked = call("openai_chat", {"role": "user", "content": "a", **extra})
    (text,) = spoken(asked)
    for place in turns("openai_chat", asked.body)[0].places:
        assert place.text in text
