"""What messages are made of, whichever dialect they came in."""

import pytest

from jupiter_addons.dialects.parts import has_images, parts
from jupiter_addons.dialects.registry import PARSERS


def of(dialect, *messages, **more):
    return parts(PARSERS[dialect]({"model": "m", "max_tokens": 5, "messages": list(messages), **more}))


@pytest.mark.parametrize(
    ("dialect", "message", "types"),
    [
        ("openai_chat", {"role": "user", "content": "hi"}, ["text"]),
        ("openai_chat", {"role": "user", "content": ""}, []),
        (
            "openai_chat",
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}, {"id": "2"}]},
            ["tool_use"] * 2,
        ),
        (
            "openai_chat",
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                    {"type": "input_audio", "input_audio": {}},
                    {"type": "file", "file": {}},
                    {"type": "hologram"},
                ],
            },
            ["text", "image", "audio", "file", "hologram"],
        ),
        (
            "anthropic_messages",
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {}},
                    {"type": "document", "source": {}},
                    {"type": "tool_result", "tool_use_id": "t", "content": "3"},
                ],
            },
            ["image", "file", "tool_result"],
        ),
    ],
)
def test_parts_have_one_set_of_words(dialect, message, types):
    ((_, found),) = of(dialect, message)
    assert [part["type"] for part in found] == types


def test_a_system_prompt_that_is_kept_apart_comes_first():
    found = of("anthropic_messages", {"role": "user", "content": "hi"}, system="be brief")
    assert [[part["text"] for part in of_message] for _, of_message in found] == [["be brief"], ["hi"]]


def test_who_speaks_has_a_name_if_the_message_says_one():
    found = of(
        "openai_chat", {"role": "user", "content": "hi", "name": "ada"}, {"role": "user", "content": "ho", "name": 7}
    )
    assert [name for name, _ in found] == ["ada", None]


def test_images_are_found_in_any_message():
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    assert has_images(of("openai_chat", {"role": "user", "content": "hi"}, image))
    assert not has_images(of("openai_chat", {"role": "user", "content": "hi"}))


@pytest.mark.parametrize(
    ("dialect", "body", "types"),
    [
        ("openai_responses", {"instructions": "be brief", "input": "hi"}, [["text"], ["text"]]),
        (
            "openai_responses",
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_image", "image_url": "data:"}]},
                    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]},
                    {"type": "item_reference", "id": "i"},
                ]
            },
            [["image"], ["tool_use"], ["tool_result", "image"], ["item_reference"]],
        ),
        ("openai_completions", {"prompt": ["a", "b"], "suffix": "c"}, [["text"]] * 3),
        ("openai_embeddings", {"input": [1, 2]}, [[]]),
        (
            "ollama_chat",
            {"messages": [{"role": "user", "content": "hi", "images": ["aGk="]}]},
            [["text", "image"]],
        ),
        ("ollama_generate", {"system": "s", "prompt": "p", "images": ["aGk="]}, [["text"], ["text", "image"]]),
        ("ollama_embed", {"input": "a"}, [["text"]]),
    ],
)
def test_every_dialect_has_parts_for_each_message(dialect, body, types):
    call = PARSERS[dialect]({"model": "m", **body})
    assert len(call.messages) == len(types)
    assert [[part["type"] for part in found] for _, found in parts(call)] == types


@pytest.mark.parametrize(
    ("dialect", "part"),
    [
        ("anthropic_messages", {"type": "tool_result", "content": [{"type": "image", "source": {}}]}),
        ("anthropic_messages", {"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}}),
        ("openai_chat", {"image_url": {"url": "https://example.org/a.png"}}),
        ("openai_chat", {"type": None, "image_url": "https://example.org/a.png"}),
        ("openai_chat", {"type": "image_embeds", "image_embeds": "aGk="}),
    ],
)
def test_an_image_is_one_within_another_part_and_without_its_type(dialect, part):
    """Servers read a part by what it holds where it does not say what it is."""
    assert has_images(of(dialect, {"role": "user", "content": [part]}))
