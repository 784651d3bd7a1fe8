"""Drive the official OpenAI SDK at its other endpoints, configured by its environment only, and print what it saw as one JSON line."""

import hashlib
import json
import os

import openai

client = openai.OpenAI(max_retries=0)
model = os.environ.get("TEST_MODEL", "rehearsal-1")
sound = bytes(range(256)) * 20

moderated = client.moderations.create(input=["hello", "violence"])
pictures = client.images.generate(model=model, prompt="a cat", n=2)
edited = client.images.edit(model=model, prompt="a dog", image=[("a.png", b"\x89PNG"), ("b.png", b"\x89PNG")])
heard = client.audio.transcriptions.create(model=model, file=("a.mp3", sound), prompt="hello", temperature=0.5)
plain = client.audio.translations.create(model=model, file=("a.mp3", sound), response_format="text")
events = [event.type for event in client.audio.transcriptions.create(model=model, file=("a.mp3", sound), stream=True)]
with client.audio.speech.with_streaming_response.create(model=model, voice="alloy", input="hello there") as spoken:
    said = spoken.read()
kept = client.files.create(file=("é a.bin", sound), purpose="assistants")
content = client.files.content(kept.id).read()
listed = [file.id for file in client.files.list(limit=5)]
deleted = client.files.delete(kept.id).deleted
try:
    client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    batch = None
except openai.APIStatusError as error:
    batch = [error.status_code, error.code]
try:
    client.files.retrieve(kept.id)
    gone = None
except openai.APIStatusError as error:
    gone = error.status_code
print(
    json.dumps(
        {
            "flagged": [result.flagged for result in moderated.results],
            "pictures": len(pictures.data),
            "edited": len(edited.data),
            "heard": heard.text,
            "digest": hashlib.sha256(sound).hexdigest()[:16],
            "plain": str(plain).strip(),
            "events": events[-1],
            "said": said.hex(),
            "content": content == sound,
            "listed": kept.id in listed,
            "deleted": deleted,
            "batch": batch,
            "gone": gone,
        }
    )
)
