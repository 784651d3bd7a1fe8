"""What was asked is found in every dialect."""

import pytest

from jupiter_addons.rehearsal import asked
from jupiter_addons.rehearsal.behaviour import Behaviour


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {"input": "hi"},
        {"input": ["hi"]},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, {"type": "function_call"}]},
        {"prompt": "hi"},
    ],
)
def test_the_text_is_found(body):
    assert asked.last_user_text(body) == "hi"
    assert asked.prompt_tokens(body) > 0


SCHEMA = {"properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}}}
ARGUMENTS = {"city": "some city", "unit": "C", "days": 1}
CHAT = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
MESSAGES = {"name": "f", "input_schema": SCHEMA}
RESPONSES = {"type": "function", "name": "f", "parameters": SCHEMA}


@pytest.mark.parametrize("tool", [CHAT, MESSAGES, RESPONSES])
def test_tools_are_called_as_often_as_the_knob_says(tool):
    assert asked.calls({"tools": [tool]}, Behaviour()) == []
    made = asked.calls({"tools": [tool]}, Behaviour(calls=2))
    assert [(call.id, call.name, call.arguments) for call in made] == [
        ("call_0", "f", ARGUMENTS),
        ("call_1", "f", ARGUMENTS),
    ]
    assert asked.calls({}, Behaviour(calls=2)) == []


@pytest.mark.parametrize(
    ("choice", "count"),
    [
        ("required", 1),
        ("auto", 0),
        ("none", 0),
        ({"type": "any"}, 1),
        ({"type": "auto"}, 0),
        ({"type": "tool", "name": "f"}, 1),
        ({"type": "function", "function": {"name": "f"}}, 1),
        ({"type": "function", "name": "g"}, 0),
    ],
)
def test_a_forced_call_is_made(choice, count):
    assert len(asked.calls({"tools": [CHAT], "tool_choice": choice}, Behaviour())) == count
