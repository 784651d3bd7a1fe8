"""OpenAI completions: `POST /v1/completions`.  A text is continued; there are no roles.

Field names and shapes: the OpenAI API reference, "Completions (legacy)".  Answers are read as those of chat completions:
they differ in where a choice has its text.
"""

from typing import Any

from jupiter_addons.dialects.call import Call, JsonObject, Message
from jupiter_addons.dialects.fields import MAX_OUTPUT_TOKENS, flag, integer, invalid, number, text
from jupiter_addons.dialects.openai_chat import MAX_CHOICES

MAX_PROMPTS = 2048


def parse(body: JsonObject) -> Call:
    """Return the canonical call of a request body.  Raises RequestError naming the path at fault."""
    number(body, "temperature")
    number(body, "top_p")
    prompts, opaque = texts(body.get("prompt"), "prompt")
    suffix = body.get("suffix")
    if suffix is not None and not isinstance(suffix, str):
        invalid("suffix", "a string")
    answers = max(integer(body, "n", 1, MAX_CHOICES) or 1, integer(body, "best_of", 1, MAX_CHOICES) or 1)
    user = body.get("user")
    return Call(
        dialect="openai_completions",
        operation="text_completion",
        model=text(body, "model"),
        stream=flag(body, "stream"),
        messages=tuple(Message("user", prompt) for prompt in (*prompts, *filter(None, (suffix,)))),
        max_tokens=integer(body, "max_tokens", 1, MAX_OUTPUT_TOKENS),
        n=answers * max(1, len(prompts)),
        claimed_user=user if isinstance(user, str) else None,
        tools=(),
        body=body,
        opaque=opaque,
    )


def texts(value: Any, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts in a field that takes one text or several, and what of it is token numbers instead.

    A list of token numbers is one text that cannot be read here: it stands in the first result as an empty one.
    """
    if isinstance(value, str):
        return (value,), ()
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PROMPTS:
        invalid(path, f"a string or a list of 1 to {MAX_PROMPTS} strings")
    if all(isinstance(item, str) for item in value):
        return tuple(value), ()
    if _are_tokens(value):
        return ("",), (path,)
    if not all(isinstance(item, list) and _are_tokens(item) for item in value):
        invalid(path, "strings only, or token numbers only")
    return ("",) * len(value), (path,)


def _are_tokens(value: list[Any]) -> bool:
    return all(type(item) is int for item in value)
