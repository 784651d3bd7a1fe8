"""OpenAI embeddings, read into the canonical call and reply."""

import pytest

from jupiter_addons.dialects.call import Message, Usage
from jupiter_addons.dialects.openai_embeddings import parse, reply
from jupiter_addons.errors import RequestError, UpstreamError


def test_every_input_is_read():
    call = parse({"model": "m", "input": ["a", "b"], "encoding_format": "base64"})
    assert call.messages == (Message("user", "a"), Message("user", "b"))
    assert (call.operation, call.stream, call.max_tokens, call.n) == ("embeddings", False, 1, 1)
    assert parse({"model": "m", "input": [1, 2]}).opaque == ("input",)
    with pytest.raises(RequestError):
        parse({"model": "m"})


def test_only_the_prompt_is_counted():
    found = reply(200, b'{"data":[{"embedding":"AAAA"}],"model":"m-1","usage":{"prompt_tokens":7,"total_tokens":7}}')
    assert (found.model, found.usage, found.text, found.complete) == ("m-1", Usage(7, 0), "", True)
    assert reply(400, b'{"error":{"type":"t"}}').error == "t"
    with pytest.raises(UpstreamError):
        reply(200, b"{}")
