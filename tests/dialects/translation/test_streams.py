"""The frame that every pair of dialects shares."""

import pytest
from support.translation import ASKED, frames_of

from jupiter_addons.dialects import translate
from jupiter_addons.dialects.translation import chat_stream
from jupiter_addons.dialects.translation.streams import StreamTranslation
from jupiter_addons.errors import UpstreamError


def fed(*chunks: str, client="anthropic_messages"):
    translation = translate.stream("openai_chat", client, ASKED)
    frames = frames_of("openai_chat", [f"data: {chunk}\n\n".encode() for chunk in chunks])
    return translation, b"".join(translation.feed(frame) for frame in frames)


BEGIN = '{"choices":[{"index":0,"delta":{"role":"assistant","content":"a"}}]}'
STOP = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'


def test_an_end_without_a_reason_is_no_end():
    with pytest.raises(UpstreamError, match="without saying why"):
        fed(BEGIN, "[DONE]")


def test_an_end_without_a_beginning_is_no_answer():
    with pytest.raises(UpstreamError):
        fed("[DONE]")


def test_a_reason_without_an_end_is_no_end():
    translation, _ = fed(BEGIN, STOP)
    with pytest.raises(UpstreamError, match="before its answer did"):
        translation.finish()


def test_after_the_end_nothing_is_written():
    translation, _ = fed(BEGIN, STOP, "[DONE]")
    (frame,) = frames_of("openai_chat", [f"data: {BEGIN}\n\n".encode()])
    assert translation.feed(frame) == b""
    translation.finish()


def test_an_error_ends_the_stream_and_is_no_end_of_an_answer():
    translation, out = fed(BEGIN, '{"error":{"message":"boom"}}', STOP, "[DONE]")
    assert out.endswith(b'"message":"boom"}}\n\n')
    translation.finish()


def test_a_call_beside_the_reason_stop_is_still_a_call():
    call = '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}}]}'
    assert b'"stop_reason":"tool_use"' in fed(BEGIN, call, STOP, "[DONE]")[1]


def test_an_endless_stream_is_refused():
    translation = StreamTranslation(chat_stream.Reader(ASKED), chat_stream.Writer(ASKED), max_stream_bytes=300)
    frames = frames_of("openai_chat", [f"data: {BEGIN}\n\n".encode()] * 9)
    assert translation.feed(frames[0])
    with pytest.raises(UpstreamError, match="longer than 300 bytes"):
        b"".join(translation.feed(frame) for frame in frames)


@pytest.mark.parametrize("client", translate.CHATS)
def test_what_is_no_json_is_not_passed_on(client):
    with pytest.raises(UpstreamError):
        fed("not json", client=client)
