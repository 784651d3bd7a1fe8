"""The cap on output: where each dialect has it, and how it gets there if the client set none."""

from dataclasses import replace
from typing import Any

from jupiter_addons.dialects.call import Call, DialectName
from jupiter_addons.dialects.splice import Path, splice

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
