"""OpenAI's other endpoints are answered the same way each time."""

import json

from support.forms import TYPE, recording

from jupiter_addons.rehearsal.answers_media import Kept, answer, fields_of, said, sound
from jupiter_addons.rehearsal.behaviour import Behaviour


def told(method, path, fields=None, kept=None, **knobs):
    return answer(method, path, fields or {}, Behaviour(**knobs), kept or Kept())


def test_forms_and_json_are_read():
    fields = fields_of(TYPE, recording(prompt="a"))
    assert (fields["model"], fields["prompt"], len(fields["file"])) == ("rehearsal-1", "a", 256)
    assert fields_of("application/json", b'{"a": 1}') == {"a": 1}
    assert (said({"input": "x"}), said({"prompt": "y"}), said({"input": ["x"]})) == ("x", "y", "")


def test_a_recording_is_told_by_its_digest_in_each_format():
    fields = fields_of(TYPE, recording())
    whole = told("POST", "/v1/audio/transcriptions", fields)
    text = json.loads(whole.body)["text"]
    assert told("POST", "/v1/audio/transcriptions", {**fields, "response_format": "text"}).body == f"{text}\n".encode()
    assert "usage" not in json.loads(told("POST", "/v1/audio/transcriptions", fields, no_usage=True).body)
    events = list(told("POST", "/v1/audio/transcriptions", {**fields, "stream": "true"}).events)
    assert json.loads(events[-1][6:])["text"] == text


def test_speech_is_sound_or_events():
    fields = {"input": "a b", "model": "m"}
    assert list(told("POST", "/v1/audio/speech", fields).events) == sound(fields, Behaviour())
    assert len(list(told("POST", "/v1/audio/speech", {**fields, "stream_format": "sse"}).events)) == 3


def test_pictures_come_as_many_as_asked_for():
    assert len(json.loads(told("POST", "/v1/images/generations", {"n": 2}).body)["data"]) == 2
    assert len(list(told("POST", "/v1/images/edits", {"stream": True}).events)) == 1
    assert "usage" not in json.loads(told("POST", "/v1/images/variations", no_usage=True).body)


def test_files_are_kept_until_they_are_deleted():
    kept = Kept()
    file = json.loads(told("POST", "/v1/files", {"file": b"abc", "purpose": "assistants"}, kept).body)
    path = f"/v1/files/{file['id']}"
    assert json.loads(told("GET", "/v1/files", kept=kept).body)["data"] == [file]
    assert json.loads(told("GET", path, kept=kept).body) == file
    assert told("GET", f"{path}/content", kept=kept).body == b"abc"
    assert json.loads(told("DELETE", path, kept=kept).body)["deleted"]
    assert told("GET", path, kept=kept) is None
    assert told("POST", "/v1/elsewhere", kept=kept) is None


def test_batches_are_begun_and_cancelled():
    kept = Kept()
    batch = json.loads(told("POST", "/v1/batches", {"input_file_id": "f"}, kept).body)
    assert json.loads(told("GET", "/v1/batches", kept=kept).body)["data"] == [batch]
    assert json.loads(told("POST", f"/v1/batches/{batch['id']}/cancel", kept=kept).body)["status"] == "cancelling"
    assert told("GET", "/v1/batches/none", kept=kept) is None


def test_moderations_flag_a_word():
    found = json.loads(told("POST", "/v1/moderations", {"input": ["a", "violence"]}).body)
    assert [result["flagged"] for result in found["results"]] == [False, True]
