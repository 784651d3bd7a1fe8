"""The table of requests in the README says what happens, cell by cell."""

import json
from pathlib import Path

import pytest
from support.translation import write

from jupiter_addons.dialects import translate
from jupiter_addons.dialects.translation import chat_answer, messages_answer, ollama_answer, responses_answer
from jupiter_addons.dialects.translation.conversation import (
    Conversation,
    Document,
    Format,
    Image,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from jupiter_addons.errors import RequestError

README = Path(translate.__file__).with_name("README.md").read_text()
TARGETS = ("openai_chat", "openai_responses", "anthropic_messages", "ollama_chat")
HI = Turn("user", (Text("hi"),))
TOOLS = (Tool("f", schema={"type": "object"}),)


def talk(*parts, role="user"):
    return {"turns": (HI, Turn(role, parts), HI)}


ROWS = {
    "stream": {"stream": True},
    "max_tokens": {},
    "temperature": {"temperature": 0.5},
    "temperature above 1": {"temperature": 1.5},
    "top_p": {"top_p": 0.5},
    "top_k": {"top_k": 5},
    "seed": {"seed": 5},
    "presence_penalty": {"presence_penalty": 1.0},
    "frequency_penalty": {"frequency_penalty": 1.0},
    "logit_bias": {"logit_bias": {"1": 1}},
    "stop": {"stop": ("END",)},
    "several answers": {"n": 2},
    "logprobs": {"logprobs": True},
    "top_logprobs": {"top_logprobs": 2},
    "tools": {"tools": TOOLS},
    "strict tools": {"tools": (Tool("f", schema={}, strict=True),)},
    "a call is forced": {"tools": TOOLS, "tool_choice": ToolChoice("required")},
    "no call": {"tools": TOOLS, "tool_choice": ToolChoice("none")},
    "one call at most": {"tools": TOOLS, "parallel_tools": False},
    "any JSON": {"format": Format()},
    "JSON by a schema": {"format": Format({"type": "object"}, "answer")},
    "effort": {"reasoning": Reasoning(True, "high")},
    "least effort": {"reasoning": Reasoning(True, "minimal")},
    "thinking budget": {"reasoning": Reasoning(True, budget_tokens=2000)},
    "thinking, amount open": {"reasoning": Reasoning(True)},
    "no thinking": {"reasoning": Reasoning(False)},
    "user": {"user": "u-1"},
    "a label (metadata, store, cache keys)": {"openai": {"metadata": {"k": "v"}}},
    "verbosity": {"openai": {"verbosity": "low"}},
    "instructions later on": talk(Text("be brief"), role="system"),
    "an answer begun": {"turns": (HI, Turn("assistant", (Text("{"),))), "prefill": True},
    "picture by value": talk(Image("AAAA", "image/png")),
    "picture by URL": talk(Image(url="https://example.com/a.png")),
    "document by value": talk(Document("AAAA", "application/pdf")),
    "document by URL": talk(Document(url="https://example.com/a.pdf")),
    "picture in a tool's result": talk(ToolResult("c", (Image("AAAA", "image/png"),)), role="tool"),
    "a tool's result is an error": talk(ToolResult("c", (Text("a"),), is_error=True), role="tool"),
    "cache mark": talk(Text("a", {"type": "ephemeral"})),
    "reasoning sealed by Anthropic": talk(Thinking("a", "s", "anthropic"), role="assistant"),
    "reasoning sealed by OpenAI": talk(Thinking("a", "s", "openai", id="rs_1"), role="assistant"),
    "reasoning not sealed": talk(Thinking("a"), role="assistant"),
    "broken arguments of an earlier call": talk(ToolCall("c", "f", '{"a":'), role="assistant"),
}


def table(heading):
    lines = README.split(heading)[1].split("\n\n")
    rows = next(block for block in lines if block.startswith("| ")).splitlines()[2:]
    return {name: cells for name, *cells in ([cell.strip() for cell in row.strip("|").split("|")] for row in rows)}


REQUESTS, ANSWERS = table("## Requests"), table("## Answers")


def test_every_row_has_its_example():
    assert set(REQUESTS) == set(ROWS)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("row", ROWS)
def test_a_cell_says_what_happens(row, target):
    cell = REQUESTS[row][TARGETS.index(target)]
    asked = Conversation(**{"model": "m", "turns": (HI,), "max_tokens": 5, **ROWS[row]})
    if cell == "refused":
        with pytest.raises(RequestError) as caught:
            write(target, asked)
        assert caught.value.refusal.code == "unsupported_by_provider"
        return
    body, notes = write(target, asked)
    assert bool(notes) is cell.endswith("noted")
    if cell != "noted":
        assert f'"{cell.split("`")[1]}"' in json.dumps(body)


def test_the_stop_reasons_are_those_of_the_code():
    names = ("end", "length", "context", "sequence", "tool", "refused")
    for reason, cells in zip(names, ANSWERS.values(), strict=True):
        assert cells == [
            f"`{word}`"
            for word in (
                chat_answer.FINISHES[reason],
                responses_answer.INCOMPLETE.get(reason, "completed"),
                messages_answer.REASONS[reason],
                ollama_answer.REASONS[reason],
            )
        ]
