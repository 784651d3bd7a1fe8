"""Embeddings: every text has its vector, in the form that was asked for."""

import base64
import dataclasses
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.translation import ASKED, call_of

from jupiter_addons.dialects.translate import reply, request
from jupiter_addons.errors import UpstreamError

FLOATS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=4)


def asked(**body):
    return dataclasses.replace(ASKED, body=body)


def test_a_request_is_translated_both_ways():
    openai = {"model": "m", "input": ["a", "b"], "dimensions": 3, "encoding_format": "base64", "user": "u"}
    found = request(call_of("openai_embeddings", openai), b"", "ollama_embed", "theirs")
    assert json.loads(found.body) == {"model": "theirs", "input": ["a", "b"], "truncate": False, "dimensions": 3}
    assert [note.partition(":")[0] for note in found.notes] == ["user"]
    ollama = {"model": "m", "input": "a", "truncate": True, "keep_alive": "5m", "options": {"num_ctx": 9}}
    found = request(call_of("ollama_embed", ollama), b"", "openai_embeddings", "theirs")
    assert json.loads(found.body) == {"model": "theirs", "input": "a", "encoding_format": "float"}
    assert [note.partition(":")[0] for note in found.notes] == ["truncate", "keep_alive", "options"]


@pytest.mark.parametrize(
    ("dialect", "target", "change", "path"),
    [
        ("openai_embeddings", "ollama_embed", {"input": [1, 2]}, "input"),
        ("openai_embeddings", "ollama_embed", {"encoding_format": "int8"}, "encoding_format"),
        ("openai_embeddings", "ollama_embed", {"new": 1}, "new"),
        ("ollama_embed", "openai_embeddings", {"new": 1}, "new"),
        ("openai_embeddings", "openai_chat", {}, "model"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(dialect, target, change, path):
    refusal = request(call_of(dialect, {"model": "m", "input": "a", **change}), b"", target, "m")
    assert (refusal.code, refusal.param) == ("unsupported_by_provider", path)


@given(st.lists(FLOATS, min_size=1, max_size=3))
def test_every_vector_is_the_one_that_was_computed(vectors):
    ollama = json.dumps({"model": "m-1", "embeddings": vectors, "prompt_eval_count": 5}).encode()
    texts = ["x"] * len(vectors)
    status, body = reply(200, ollama, "ollama_embed", "openai_embeddings", asked(input=texts))
    found = json.loads(body)
    assert (status, found["model"], found["usage"]) == (200, "m-1", {"prompt_tokens": 5, "total_tokens": 5})
    assert [entry["embedding"] for entry in found["data"]] == vectors
    back = json.loads(reply(200, body, "openai_embeddings", "ollama_embed", asked(input=texts))[1])
    assert (back["embeddings"], back["prompt_eval_count"]) == (vectors, 5)
    packed = json.loads(
        reply(200, ollama, "ollama_embed", "openai_embeddings", asked(input=texts, encoding_format="base64"))[1]
    )
    for vector, entry in zip(vectors, packed["data"], strict=True):
        assert list(struct.unpack(f"<{len(vector)}f", base64.b64decode(entry["embedding"]))) == vector


def test_vectors_come_in_the_order_of_their_texts():
    data = [{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]
    body = json.dumps({"data": data}).encode()
    found = json.loads(reply(200, body, "openai_embeddings", "ollama_embed", asked(input=["a", "b"]))[1])
    assert found == {"model": "asked-model", "embeddings": [[1], [2]]}


@pytest.mark.parametrize("vectors", [[], [[1], [2]], ["AAAA"], [[True]], [["1"]], [[1e300]]])
def test_an_answer_that_is_not_one_vector_a_text_is_not_passed_on(vectors):
    body = json.dumps({"embeddings": vectors}).encode()
    with pytest.raises(UpstreamError):
        reply(200, body, "ollama_embed", "openai_embeddings", asked(input="a", encoding_format="base64"))


def test_an_error_is_an_error():
    status, body = reply(404, b'{"error":"no such model"}', "ollama_embed", "openai_embeddings", asked(input="a"))
    assert (status, json.loads(body)["error"]["message"]) == (404, "no such model")
