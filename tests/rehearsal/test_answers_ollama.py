"""Ollama's dialect says the same."""

import json

from jupiter_addons.rehearsal import answers_ollama as answers
from jupiter_addons.rehearsal.behaviour import Behaviour

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
GENERATE = {"model": "m", "prompt": "hello"}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "integer"}}}}}]


def lines(body, behaviour=None):
    return [json.loads(line) for line in answers.events(body, "a b", behaviour or Behaviour())]


def test_lines_say_what_the_whole_does():
    for body, text in ((CHAT, lambda line: line["message"]["content"]), (GENERATE, lambda line: line["response"])):
        found = lines(body)
        assert "".join(map(text, found)) == text(answers.body_of(body, "a b", Behaviour())) == "a b"
        assert [line["done"] for line in found] == [False, False, True]
        assert found[-1]["eval_count"] == 2


def test_calls_thoughts_and_faults():
    found = lines({**CHAT, "tools": TOOLS}, Behaviour(calls=1, think="hm"))
    assert found[0]["message"]["thinking"] == "hm"
    assert found[1]["message"]["tool_calls"] == [{"function": {"name": "f", "arguments": {"a": 1}}}]
    assert answers.body_of({**CHAT, "tools": TOOLS}, "a", Behaviour(calls=1))["message"]["tool_calls"]
    assert lines(CHAT, Behaviour(error_event=True))[-1] == {"error": "rehearsed"}
    assert not lines(CHAT, Behaviour(no_done=True))[-1]["done"]
    assert "eval_count" not in answers.body_of(CHAT, "a", Behaviour(no_usage=True))


def test_embeddings_and_tags():
    assert len(answers.embed_body({"input": ["a", "b"]}, Behaviour())["embeddings"]) == 2
    assert answers.tags()["models"][0]["name"] == "rehearsal-1"
