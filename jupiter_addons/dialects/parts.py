"""What messages are made of, in one set of words: text, image, audio, file, tool_use, tool_result.

In the order of the call's messages: a system prompt that the dialect keeps apart comes first.  What has no word here keeps
its own.  Parts within parts are parts of the message too: an image in a tool's result is an image to the model.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jupiter_addons.dialects.call import Call

_WORDS = {
    "image_url": "image",
    "input_image": "image",
    "image_embeds": "image",
    "image_pil": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "video_url": "video",
    "document": "file",
    "input_file": "file",
    "input_text": "text",
    "output_text": "text",
    "refusal": "text",
}
"""A dialect's word -> ours."""
_TELLING = ("image_url", "input_audio", "audio_url", "video_url", "file", "text")
"""Members by which servers know a part that has no type, in the order in which they look."""

type OfMessage = tuple[str | None, Sequence[Mapping[str, Any]]]
"""The name of who speaks, if the message says one, and the parts: {type, text, …}."""


def parts(call: Call) -> list[OfMessage]:
    """Return the parts of each message of a call."""
    listed = call.body.get("input" if call.dialect == "openai_responses" else "messages")
    raw = [message for message in listed if isinstance(message, Mapping)] if isinstance(listed, list) else []
    apart = len(call.messages) - len(raw)
    found: list[OfMessage] = [(None, _text(message.text)) for message in call.messages[:apart]]
    for message in raw:
        name = message.get("name")
        of_message = [*_content(message), *_images(message), *_calls(message)]
        if call.dialect == "openai_responses" and "role" not in message:
            name, of_message = None, _item(message)
        found.append((name if isinstance(name, str) else None, of_message))
    if call.dialect == "ollama_generate" and (pictures := _images(call.body)):
        prompt = next(number for number, message in enumerate(call.messages) if message.role == "user")
        found[prompt] = (None, [*found[prompt][1], *pictures])
    return found


def has_images(messages: Sequence[OfMessage]) -> bool:
    """Whether any message holds an image."""
    return any(part["type"] == "image" for _, of_message in messages for part in of_message)


def _text(text: str) -> list[Mapping[str, Any]]:
    return [{"type": "text", "text": text}] if text else []


def _content(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return _text(content)
    if not isinstance(content, list):
        return []
    return list(_all_parts(content))


def _all_parts(listed: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield parts, each followed by those within it."""
    for part in listed:
        if isinstance(part, Mapping):
            yield _part(part)
            source = part.get("source")
            for holder in (part, source if isinstance(source, Mapping) else {}):
                if isinstance(within := holder.get("content"), list):
                    yield from _all_parts(within)


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = part.get("type")
    word = kind if isinstance(kind, str) else next((name for name in _TELLING if part.get(name) is not None), "")
    return {**part, "type": _WORDS.get(word, word)}


def _images(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the pictures that Ollama has beside the content."""
    pictures = message.get("images")
    return [{"type": "image"} for _ in pictures] if isinstance(pictures, list) else []


def _item(item: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the part that an item of a responses input is, which is no message, and what it holds."""
    kind = item.get("type")
    word = kind if isinstance(kind, str) else ""
    own = "tool_use" if word.endswith("_call") else "tool_result" if word.endswith("_output") else word
    held = item.get("output")
    within = [_part(part) for part in held if isinstance(part, Mapping)] if isinstance(held, list) else []
    return [{**item, "type": own}, *_content(item), *within]


def _calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    return [{"type": "tool_use"} for _ in calls] if isinstance(calls, list) else []
