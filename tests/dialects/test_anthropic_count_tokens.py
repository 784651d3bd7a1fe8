"""Counting reads what a message would, and costs nothing."""

import pytest

from jupiter_addons.dialects.anthropic_count_tokens import parse, reply
from jupiter_addons.dialects.call import Message, Usage
from jupiter_addons.errors import RequestError, UpstreamError


def test_a_count_needs_no_cap():
    call = parse({"model": "m", "system": "a", "messages": [{"role": "user", "content": "hi"}]})
    assert (call.operation, call.max_tokens, call.stream) == ("count_tokens", 1, False)
    assert call.messages == (Message("system", "a"), Message("user", "hi"))
    with pytest.raises(RequestError):
        parse({"model": "m"})


def test_the_answer_is_a_number_and_nothing_is_charged():
    assert reply(200, b'{"input_tokens":7}').usage == Usage(0, 0)
    assert reply(404, b'{"type":"error","error":{"type":"not_found_error"}}').error == "not_found_error"
    for body in (b"{}", b"[]", b"x", b'{"input_tokens":-1}'):
        with pytest.raises(UpstreamError):
            reply(200, body)
