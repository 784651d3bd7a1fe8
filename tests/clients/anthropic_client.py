"""Drive the official Anthropic SDK, configured by its environment only, and print what it saw as one JSON line."""

import json
import os

import anthropic

client = anthropic.Anthropic(max_retries=2)
model = os.environ.get("TEST_MODEL", "rehearsal-1")
ask = {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}

whole = client.messages.create(**ask)
with client.messages.stream(**ask) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
try:
    client.messages.create(**{**ask, "model": "nobody-has-this"})
    refused = None
except anthropic.APIStatusError as error:
    refused = [type(error).__name__, error.status_code]
try:
    cut_ask = {**ask, "messages": [{"role": "user", "content": "[[events=9]][[cut_after=5]]"}]}
    with client.messages.stream(**cut_ask) as stream:
        list(stream.text_stream)
    cut = None
except anthropic.APIError as error:
    cut = type(error).__name__
try:
    models = [model.id for model in client.models.list()]
except anthropic.APIStatusError as error:
    models = [type(error).__name__]
print(
    json.dumps(
        {
            "text": whole.content[0].text,
            "tokens": whole.usage.input_tokens + whole.usage.output_tokens,
            "streamed": text,
            "streamed_tokens": final.usage.input_tokens + final.usage.output_tokens,
            "refused": refused,
            "cut": cut,
            "models": models,
        }
    )
)
