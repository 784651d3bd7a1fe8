"""OpenAI completions, from all sides: a text is continued, and there are no roles.

Shapes: the OpenAI API reference, "Completions (legacy)".  The one counterpart is a raw generation of Ollama's; a chat is
something else, and nobody who asked for one is given the other.
"""

from typing import Any

from jupiter_addons.dialects.call import JsonObject, Usage
from jupiter_addons.dialects.openai_chat import usage_of
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.dialects.sse import Frame, is_done
from jupiter_addons.dialects.translation import exact, faults, leftovers
from jupiter_addons.dialects.translation.chat_answer import FINISHES, stop_of, string, written_usage
from jupiter_addons.dialects.translation.conversation import (
    Answer,
    Asked,
    Begin,
    Conversation,
    Count,
    Delta,
    End,
    Fault,
    Options,
    Stop,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    Turn,
)
from jupiter_addons.dialects.translation.reading import Fields, unsupported


def parse(body: JsonObject, notes: list[str]) -> Conversation:
    """Return what is to be continued, as the one turn of a raw conversation.  Raises RequestError."""
    fields = Fields(body)
    prompt = fields.take("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        unsupported("prompt", "can only be one text at the provider that would be asked")
    if (fields.whole("best_of") or 1) > 1:
        unsupported("best_of")
    if fields.take("echo"):
        unsupported("echo")
    fields.within("stream_options").take("include_usage")
    conversation = Conversation(
        model=fields.need("model"),
        turns=(Turn("user", (Text(prompt),), "prompt"),),
        raw=True,
        stream=fields.flag("stream") or False,
        max_tokens=fields.whole("max_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        seed=fields.whole("seed"),
        presence_penalty=fields.number("presence_penalty") or None,
        frequency_penalty=fields.number("frequency_penalty") or None,
        logit_bias=fields.object("logit_bias") or None,
        stop=fields.strings("stop"),
        n=fields.whole("n") or 1,
        user=fields.text("user"),
    )
    fields.done(notes)
    return conversation


def render(asked: Conversation, options: Options, notes: list[str]) -> dict[str, Any]:
    """Return the request body for a raw conversation.  Raises RequestError for any other, and for what it cannot say."""
    if not asked.raw:
        unsupported("messages", "have roles, and the provider that would be asked continues a text")
    leftovers.refuse(asked, "top_k logprobs top_logprobs format")
    if asked.reasoning is not None:
        notes.append("think: left out, a text is continued without thinking")
    body: dict[str, Any] = {"model": asked.model, "prompt": text_of(asked)}
    if asked.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    plain = {
        "max_tokens": asked.max_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "logit_bias": asked.logit_bias,
        "stop": list(asked.stop) or None,
        "n": asked.n if asked.n > 1 else None,
        "user": asked.user,
    }
    return body | {name: value for name, value in plain.items() if value is not None}


def text_of(asked: Conversation) -> str:
    """Return the text of a raw conversation.  Raises RequestError if there is more than one text in it."""
    parts = [part for turn in asked.turns for part in turn.parts]
    if len(parts) != 1 or not isinstance(text := parts[0], Text):
        unsupported("prompt", "can only be one text at the provider that would be asked")
    return text.text


def parse_answer(body: bytes, _asked: Asked) -> Answer:
    """Return the answer in a whole body.  Raises UpstreamError."""
    found = exact.answer(body)
    choices = items(found.get("choices"))
    if len(choices) != 1:
        exact.invalid(f"the provider gave {len(choices)} answers where one was asked for")
    choice = mapping(choices[0])
    text = string(choice.get("text"))
    return Answer(
        id=string(found.get("id")),
        model=string(found.get("model")),
        parts=() if text is None else (Text(text),),
        stop=stop_of(choice.get("finish_reason")),
        usage=usage_of(mapping(found.get("usage"))),
    )


def render_answer(answer: Answer, asked: Asked) -> dict[str, Any]:
    """Return the body of a completion.  Raises UpstreamError for anything but text; reasoning is left out."""
    if not all(isinstance(part, Text | Thinking) for part in answer.parts):
        exact.invalid("the provider answered with what was not asked for")
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    body = {**_head(asked, answer.id, answer.model), "choices": [_choice(text, answer.stop)]}
    return body if answer.usage is None else {**body, "usage": written_usage(answer.usage)}


def _head(asked: Asked, id_: str | None, model: str | None) -> dict[str, Any]:
    return {
        "id": id_ or f"cmpl-{asked.call_id}",
        "object": "text_completion",
        "created": asked.at_s,
        "model": model or asked.model,
    }


def _choice(text: str, stop: StopReason | None) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": None if stop is None else FINISHES[stop]}


class Reader:
    """Chunks -> deltas."""

    def __init__(self, _asked: Asked) -> None:
        self._begun = False

    def read(self, frame: Frame) -> list[Delta]:
        """Return what a chunk says.  Raises UpstreamError."""
        if frame.data is None:
            return []
        if is_done(frame.data):
            return [End()]
        chunk = exact.answer(frame.data)
        if (fault := faults.read(chunk.get("error"))) is not None:
            return [fault]
        found: list[Delta] = [] if self._begun else [Begin(string(chunk.get("id")), string(chunk.get("model")))]
        self._begun = True
        for choice in map(mapping, items(chunk.get("choices"))):
            if choice.get("index") not in (0, None):
                exact.invalid("the provider gave several answers where one was asked for")
            if text := string(choice.get("text")):
                found.append(TextDelta(text))
            if choice.get("finish_reason") is not None:
                found.append(Stop(stop_of(choice["finish_reason"])))
        if (usage := usage_of(mapping(chunk.get("usage")))) is not None:
            found.append(Count(usage))
        return found


class Writer:
    """Deltas -> chunks."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._head: dict[str, Any] = {}

    def begin(self, begin: Begin) -> bytes:
        """Return nothing: there is no chunk without text."""
        self._head = _head(self._asked, begin.id, begin.model)
        return b""

    def write(self, delta: Delta) -> bytes:
        """Return the chunk for a delta.  Raises UpstreamError for anything but text; reasoning is left out."""
        if isinstance(delta, TextDelta):
            return _event({**self._head, "choices": [_choice(delta.text, None)]})
        if not isinstance(delta, ThinkingDelta):
            exact.invalid("the provider answered with what was not asked for")
        return b""

    def end(self, stop: Stop, usage: Usage | None) -> bytes:
        """Return the last chunk, the usage if the client wants it, and the mark."""
        last = _event({**self._head, "choices": [_choice("", stop.reason)]})
        if usage is not None and self._asked.include_usage:
            last += _event({**self._head, "choices": [], "usage": written_usage(usage)})
        return last + b"data: [DONE]\n\n"

    def fault(self, fault: Fault) -> bytes:
        """Return the error event."""
        return _event(faults.write("openai", fault))


def _event(data: object) -> bytes:
    return b"data: " + exact.dumps(data) + b"\n\n"
