"""What is passed on is read as far as it can be, and says of the rest that it is not."""

import json
from dataclasses import replace

import pytest
from support.forms import TYPE, form, part, recording

from jupiter_addons.dialects import passthrough
from jupiter_addons.dialects.call import Upload, Usage
from jupiter_addons.dialects.endpoints import find, unlisted
from jupiter_addons.dialects.passthrough import (
    StreamReader,
    is_batch_upload,
    kind,
    parse_request,
    reply,
    sized,
    with_model,
)
from jupiter_addons.dialects.places import turns
from jupiter_addons.dialects.spoken import beside, spoken
from jupiter_addons.dialects.sse import Splitter
from jupiter_addons.errors import RequestError


def asked(path, body, *, content_type="", method="POST"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_request(find(method, path), path, content_type, raw)[0]


def test_texts_are_messages_and_all_else_stands_beside_them():
    call = asked("/v1/audio/speech", {"model": "tts", "input": "hello", "instructions": "softly", "voice": "a@b.com"})
    assert [(message.role, message.text) for message in call.messages] == [("system", "softly"), ("user", "hello")]
    assert spoken(call) == ["softly", "hello"]
    assert list(beside(call)) == [("user", '{"voice":"a@b.com"}')]
    assert (call.operation, call.model, call.opaque, call.stream) == ("speech", "tts", (), False)


@pytest.mark.parametrize(
    ("asking", "texts", "opaque"),
    [
        ("a", ["a"], ()),
        (["a", "b"], ["a", "b"], ()),
        ([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}], ["a", ""], ("input[1]",)),
        ([1, 2], ["", ""], ("input[0]", "input[1]")),
    ],
)
def test_what_is_moderated_is_read_and_pictures_are_not(asking, texts, opaque):
    call = asked("/v1/moderations", {"input": asking})
    assert ([message.text for message in call.messages], call.opaque, call.model) == (texts, opaque, "")
    assert len(turns("passthrough", call.body)) == len(call.messages)


def test_a_form_is_read_and_its_files_are_not():
    call = asked(
        "/v1/audio/transcriptions", recording(prompt="names: Joe", stream="true", temperature="0.5"), content_type=TYPE
    )
    assert call.body == {"model": "rehearsal-1", "prompt": "names: Joe", "stream": True, "temperature": 0.5}
    assert (call.model, call.stream, call.opaque, call.is_json) == ("rehearsal-1", True, ("file",), False)
    assert call.files == (Upload("file", "a.mp3", "audio/mpeg", 256),)
    assert spoken(call) == ["names: Joe"]


def test_a_picture_may_be_edited_by_either_kind_of_body():
    picture = part("image[]", b"x", file="a.png", media="image/png")
    edited = asked("/v1/images/edits", form(picture, part("prompt", "p"), part("n", "2")), content_type=TYPE)
    assert (edited.n, edited.opaque, spoken(edited)) == (2, ("image",), ["p"])
    edited = asked("/v1/images/edits", {"model": "m", "prompt": "p"}, content_type="application/json")
    assert (edited.is_json, edited.model) == (True, "m")


@pytest.mark.parametrize(
    "fields",
    [{"n": "0"}, {"n": "1e3"}, {"n": "٣"}, {"n": "99"}, {"stream": "yes"}, {"stream": "1"}, {"temperature": "nan"}, {"temperature": "1_0"},
     {"temperature": "inf"}, {"model": ""}],
)  # fmt: skip
def test_a_field_that_could_be_read_otherwise_is_refused(fields):
    with pytest.raises(RequestError) as refused:
        asked("/v1/audio/transcriptions", recording(**fields), content_type=TYPE)
    assert refused.value.refusal.param in fields


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/generations", {"model": 1, "prompt": "p"}),
        ("/v1/images/generations", {"model": "m", "n": 1.0}),
        ("/v1/images/generations", {"model": "m", "stream": "true"}),
        ("/v1/images/generations", b'{"model": "m", "model": "n"}'),
        ("/v1/moderations", b"[]"),
        ("/v1/moderations", b""),
        ("/v1/batches/b-1/cancel", b"x"),
    ],
)
def test_a_body_with_two_readings_or_none_is_refused(path, body):
    with pytest.raises(RequestError):
        asked(path, body)


def test_what_takes_no_body_has_an_empty_call():
    assert asked("/v1/files/f-1", b"", method="GET").body == asked("/v1/batches/b-1/cancel", b"{}").body == {}


@pytest.mark.parametrize("purpose", ["batch", " Batch\n"])
def test_a_file_of_calls_is_told_from_other_files(purpose):
    body = form(part("purpose", purpose), part("file", b"{}", file="a.jsonl"))
    assert is_batch_upload(asked("/v1/files", body, content_type=TYPE))
    assert not is_batch_upload(asked("/v1/files", recording(purpose="assistants"), content_type=TYPE))


def test_at_an_unknown_path_the_model_is_read_and_nothing_is_known_to_be():
    def at(target, body, content_type="application/json"):
        return parse_request(unlisted("POST", target), target, content_type, body)[0]

    call = at("/v1/x?key=1", b'{"model": "m", "n": [1], "stream": 7, "said": "a@b.com"}')
    assert (call.model, call.opaque, call.operation, call.is_json) == ("m", ("body", "query"), "unknown", True)
    assert at("/v1/x", b"\x00\xff", "application/octet-stream").opaque == ("body",)
    assert at("/v1/x", b'{"model": "m"}', "text/plain").model == ""
    assert at("/v1/x", b"").opaque == ()
    with pytest.raises(RequestError):
        at("/v1/x", b'{"model": "m", "model": "n"}')


def test_only_the_model_of_a_form_is_exchanged():
    body = recording("fast", prompt="a")
    assert with_model(TYPE, body, "whisper-large") == body.replace(b"\r\n\r\nfast\r\n", b"\r\n\r\nwhisper-large\r\n")
    with pytest.raises(RequestError):
        with_model(TYPE, form(part("prompt", "a")), "m")


def test_a_file_counts_for_what_can_be_made_of_it_at_most():
    call = asked("/v1/audio/transcriptions", recording(), content_type=TYPE)
    assert sized(call, 10) == 10 + 256
    assert sized(replace(call, files=(Upload("file", "a", None, 10**7),)), 10) == 10 + passthrough.MOST_FILE_TOKENS


def test_a_changed_body_is_the_same_call():
    call = asked("/v1/images/generations", {"model": "m", "prompt": "a"})
    assert passthrough.again(call, {"model": "m", "prompt": "b"}).operation == "image_generations"


@pytest.mark.parametrize(
    ("method", "path", "status", "media", "wanted"),
    [
        ("POST", "/v1/audio/speech", 200, "audio/mpeg", "raw"),
        ("POST", "/v1/audio/speech", 200, "text/event-stream", "events"),
        ("POST", "/v1/audio/speech", 400, "audio/mpeg", "whole"),
        ("POST", "/v1/audio/transcriptions", 200, "text/plain", "whole"),
        ("POST", "/v1/images/generations", 200, "application/json", "whole"),
        ("GET", "/v1/files/f-1/content", 200, "application/json", "raw"),
        ("DELETE", "/v1/files/f-1", 204, "", "whole"),
    ],
)
def test_how_an_answer_is_passed_on(method, path, status, media, wanted):
    assert kind(find(method, path), status, media) == wanted


def test_all_texts_of_an_answer_are_read_and_sound_is_not():
    said = reply(
        200, b'{"id": "x", "text": "hi Joe", "usage": {"type": "tokens", "input_tokens": 14, "output_tokens": 3}}'
    )
    assert (said.text, said.usage, said.unread, said.complete) == ("hi Joe", Usage(14, 3), False, True)
    assert reply(200, b'{"data": [{"b64_json": "AAAA", "revised_prompt": "p"}]}').unread
    assert reply(200, b'{"data": [{"b64_json": "AAAA", "revised_prompt": "p"}]}').text == "p"
    assert reply(200, b'{"text": "a", "usage": {"type": "duration", "seconds": 3}}').usage is None
    assert reply(200, "1\n00:00 → é".encode()).text == "1\n00:00 → é"
    assert (reply(200, b"\xff\xfb\x00").text, reply(200, b"\xff\xfb\x00").unread) == ("", True)
    assert reply(200, b'["a", {"x": "b"}]').text == "a\nb"
    assert reply(429, b"<html>").error == "http_429"
    assert reply(400, b'{"error": {"type": "invalid_request_error"}}').error == "invalid_request_error"


STREAM = b"".join(
    b"data: " + json.dumps(event).encode() + b"\n\n"
    for event in (
        {"type": "transcript.text.delta", "delta": "hi "},
        {"type": "transcript.text.delta", "delta": "Joe"},
        {"type": "transcript.text.done", "text": "hi Joe", "usage": {"input_tokens": 14, "output_tokens": 3}},
    )
)


def read(data, size):
    splitter, reader = Splitter(), StreamReader()
    for at in range(0, len(data), size):
        for frame in splitter.feed(data[at : at + size]):
            assert reader.read(frame) is False
    return reader.reply()


def test_a_stream_says_what_its_deltas_do_whole_and_byte_by_byte():
    said = read(STREAM, len(STREAM))
    assert (said.text, said.usage, said.complete, said.unread) == ("hi Joe", Usage(14, 3), True, False)
    assert read(STREAM, 1) == said
    assert not read(STREAM[: STREAM.rindex(b"data:")], 5).complete


def test_pictures_and_what_is_no_json_are_not_read_and_usage_adds_up():
    done = b'data: {"type": "image_generation.completed", "b64_json": "AA", "usage": {"input_tokens": 1, "output_tokens": 2}}\n\n'
    said = read(done + done, 64)
    assert (said.usage, said.unread, said.text) == (Usage(2, 4), True, "")
    assert read(b"data: hello\n\n", 64).unread
    failed = read(b'data: {"error": {"type": "overloaded", "message": "x"}}\n\n', 64)
    assert (failed.error, failed.complete) == ("overloaded", False)
    assert read(b": comment\n\ndata: [DONE]\n\n", 64).complete
