"""OpenAI's other dialects say the same."""

import base64
import json
import struct

from jupiter_addons.rehearsal import answers_openai as answers
from jupiter_addons.rehearsal.behaviour import Behaviour

BODY = {"model": "m", "input": "hello"}


def test_a_response_streams_what_it_is():
    events = list(answers.response_events(BODY, "a b", Behaviour(think="hm")))
    last = json.loads(events[-1].split(b"data: ")[1])
    assert last["type"] == "response.completed"
    assert last["response"] == answers.response_body(BODY, "a b", Behaviour(think="hm"))
    assert b"response.failed" in list(answers.response_events(BODY, "a", Behaviour(error_event=True)))[-1]
    assert b"completed" not in list(answers.response_events(BODY, "a", Behaviour(no_done=True)))[-1].split(b"\n")[0]
    assert answers.response_body(BODY, "a", Behaviour(no_usage=True))["usage"] is None


def test_a_completion_ends_as_its_dialect_does():
    body = {"model": "m", "prompt": "hello", "stream_options": {"include_usage": True}}
    events = list(answers.completion_events(body, "a b", Behaviour()))
    assert events[-1] == b"data: [DONE]\n\n" and b'"usage"' in events[-2]
    assert b"error" in list(answers.completion_events(body, "a", Behaviour(error_event=True)))[-1]


def test_vectors_are_the_same_for_the_same_text_in_either_form():
    plain = answers.embedding_body({"input": ["a", "b"]}, Behaviour())["data"]
    packed = answers.embedding_body({"input": ["a", "b"], "encoding_format": "base64"}, Behaviour())["data"]
    for one, other in zip(plain, packed, strict=True):
        assert list(struct.unpack("<8f", base64.b64decode(other["embedding"]))) == one["embedding"]
    assert len(answers.vectors("a", 100)[0]) == 100
    assert "usage" not in answers.embedding_body({"input": "a"}, Behaviour(no_usage=True))
