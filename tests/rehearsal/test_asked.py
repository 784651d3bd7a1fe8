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


SCHEMA = {
    "properties": {
        "city": {"type": "string"},
        "unit": {"enum": ["C", "F"]},
        "days": {"type": "integer"},
        "country": {"const": "France"},
    }
}
ARGUMENTS = {"city": "some city", "unit": "C", "days": 1, "country": "France"}
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


def test_one_tool_can_be_named_with_its_arguments_and_is_called_if_it_is_offered():
    (made,) = asked.calls({"tools": [CHAT]}, Behaviour(call='f {"list": ["a"%5D}'))
    assert (made.name, made.arguments) == ("f", {"list": ["a"]})
    assert asked.calls({"tools": [CHAT]}, Behaviour(call="g")) == []


CALLED = {"role": "assistant", "content": "x"}
ASKED = {"role": "user", "content": "hi"}
RESULTS = {
    "chat": {"messages": [ASKED, CALLED, {"role": "tool", "content": "21"}, {"role": "tool", "content": "22"}]},
    "messages": {
        "messages": [
            ASKED,
            CALLED,
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "content": "21"},
                    {"type": "tool_result", "content": [{"type": "text", "text": "22"}]},
                    {"type": "text", "text": "a reminder"},
                ],
            },
        ]
    },
    "responses": {
        "input": [
            ASKED,
            {"type": "function_call"},
            {"type": "function_call_output", "output": "21"},
            {"type": "custom_tool_call_output", "output": "22"},
        ]
    },
}


@pytest.mark.parametrize("body", RESULTS.values(), ids=RESULTS)
def test_what_the_tools_said_is_found_until_somebody_says_something(body):
    assert asked.tool_results(body) == ["21", "22"]
    assert asked.calls({**body, "tools": [CHAT]}, Behaviour(calls=1)) == []
    (name,) = body
    for later in (ASKED, CALLED):
        assert asked.tool_results({name: [*body[name], later]}) == []
    assert asked.tool_results({name: "hi"}) == asked.tool_results({}) == []


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
