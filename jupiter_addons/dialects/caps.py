"""What a call that limits bound is sent with, if the client has not asked for it: a cap on its output, and a count at the end.

OpenAI's chats and completions tell of a stream what was used only if they are asked to, in a last chunk of its own.  Of a model
that thinks unseen nobody else could tell.
"""

from dataclasses import replace
from typing import Any

import orjson

from jupiter_addons.dialects.call import Call, DialectName
from jupiter_addons.dialects.replies import mapping
from jupiter_addons.dialects.splice import Path, splice
from jupiter_addons.dialects.sse import Frame

_PLACES: dict[DialectName, Path] = {
    "openai_chat": ("max_completion_tokens",),
    "openai_completions": ("max_tokens",),
    "openai_responses": ("max_output_tokens",),
    "anthropic_messages": ("max_tokens",),
    "ollama_chat": ("options", "num_predict"),
    "ollama_generate": ("options", "num_predict"),
}


def place(dialect: DialectName, *, older: bool = False) -> Path | None:
    """Return where a dialect has its cap; None if it makes no text.

    `older`: of servers that know OpenAI's chats by the name the cap had first.
    """
    if dialect == "openai_chat" and older:
        return ("max_tokens",)
    return _PLACES.get(dialect)


def with_cap(call: Call, body: bytes, cap: int, where: Path) -> tuple[Call, bytes]:
    """Return a call and its body with a cap in its place, every other byte as it was."""
    first, *rest = where
    held = call.body.get(str(first))
    value: Any = cap
    if rest and not isinstance(held, dict):  # `"options": null`, or none
        where, value = (first,), {rest[0]: cap}
    members: Any = {**held, rest[0]: cap} if rest and isinstance(held, dict) else value
    capped = replace(call, body={**call.body, str(first): members}, max_tokens=cap)
    return capped, splice(body, {where: value})


USAGE: Path = ("stream_options", "include_usage")
"""Where a stream is asked to tell what was used."""


def tells_usage(call: Call) -> bool:
    """Whether a call's answer tells what was used, if it ends by itself."""
    if call.dialect not in ("openai_chat", "openai_completions") or not call.stream:
        return True
    return mapping(call.body.get("stream_options")).get("include_usage") is True


def with_usage(call: Call, body: bytes) -> tuple[Call, bytes]:
    """Return a call and its body that asks for a count, every other byte as it was."""
    options = {**mapping(call.body.get("stream_options")), "include_usage": True}
    return replace(call, body={**call.body, "stream_options": options}), splice(body, {("stream_options",): options})


def tells_only_usage(frame: Frame) -> bool:
    """Whether an event of such a stream is there for the count alone."""
    if frame.data is None or b'"usage"' not in frame.data:
        return False
    try:
        chunk = mapping(orjson.loads(frame.data))
    except orjson.JSONDecodeError:
        return False
    return chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)
