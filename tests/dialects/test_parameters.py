"""A parameter has one name in rules, and in each request the place that its dialect, or its client, has given it."""

import pytest

from jupiter_addons.dialects import parameters


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
    assert parameters.parameter(dialect, body, name) == paths


@pytest.mark.parametrize(
    ("dialect", "name", "paths"),
    [
        ("openai_responses", "max_tokens", [("max_output_tokens",)]),
        ("ollama_chat", "max_tokens", [("options", "num_predict")]),
        ("ollama_generate", "temperature", [("options", "temperature")]),
        ("openai_completions", "max_tokens", [("max_tokens",)]),
        ("openai_embeddings", "max_tokens", []),
        ("openai_embeddings", "user", [("user",)]),
        ("anthropic_count_tokens", "temperature", []),
    ],
)
def test_a_parameter_of_what_generates_nothing_has_no_place(dialect, name, paths):
    assert parameters.parameter(dialect, {}, name) == paths


def test_what_is_set_is_read_where_the_dialect_has_it():
    names = ("temperature", "stop", "n")
    assert parameters.given("ollama_chat", {"options": {"temperature": 2}}, names) == {
        "temperature": 2,
        "stop": None,
        "n": None,
    }
    assert parameters.given("ollama_chat", {"options": None}, names)["temperature"] is None
    assert parameters.given("anthropic_messages", {"stop_sequences": ["x"]}, names)["stop"] == ["x"]
    assert parameters.given("openai_chat", {"n": 2}, names) == {"temperature": None, "stop": None, "n": 2}
