"""Drive the official OpenAI SDK, configured by its environment only, and print what it saw as one JSON line."""

import json
import os

import openai

client = openai.OpenAI(max_retries=2)
model = os.environ.get("TEST_MODEL", "rehearsal-1")
messages = [{"role": "user", "content": "hello"}]

whole = client.chat.completions.create(model=model, messages=messages)
stream = client.chat.completions.create(
    model=model, messages=messages, stream=True, stream_options={"include_usage": True}
)
text, usage = "", None
for chunk in stream:
    text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    usage = chunk.usage or usage
try:
    client.chat.completions.create(model="nobody-has-this", messages=messages)
    refused = None
except openai.APIStatusError as error:
    refused = [type(error).__name__, error.status_code, error.code]
try:
    for _ in client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "[[events=9]][[cut_after=4]]"}], stream=True
    ):
        pass
    cut = None
except openai.APIError as error:
    cut = type(error).__name__
try:
    models = [model.id for model in client.models.list()]
except openai.APIStatusError as error:
    models = [type(error).__name__]
print(
    json.dumps(
        {
            "text": whole.choices[0].message.content,
            "tokens": whole.usage.total_tokens,
            "streamed": text,
            "streamed_tokens": usage.total_tokens,
            "refused": refused,
            "cut": cut,
            "models": models,
        }
    )
)
