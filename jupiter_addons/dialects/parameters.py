"""Where a request sets what: parameters, which rules know by one name, under the names that each dialect has for them."""

from collections.abc import Iterable, Mapping
from typing import Any

from jupiter_addons.dialects.call import DialectName, Json, JsonObject
from jupiter_addons.dialects.replies import mapping
from jupiter_addons.dialects.splice import Path

_SAMPLING = frozenset(
    (
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "n",
        "seed",
        "stop",
        "frequency_penalty",
        "presence_penalty",
        "stream",
    )
)
"""Parameters of what generates text."""
_GENERATES_NOTHING: frozenset[DialectName] = frozenset({"openai_embeddings", "ollama_embed", "anthropic_count_tokens"})
_ANTHROPIC_NAMES = {"stop": "stop_sequences", "user": "metadata.user_id"}
_OLLAMA_NAMES = {
    "max_tokens": "options.num_predict",
    **{
        name: f"options.{name}"
        for name in ("temperature", "top_p", "top_k", "seed", "stop", "frequency_penalty", "presence_penalty")
    },
}
_NAMES: Mapping[DialectName, Mapping[str, str]] = {
    "anthropic_messages": _ANTHROPIC_NAMES,
    "anthropic_count_tokens": _ANTHROPIC_NAMES,
    "openai_responses": {"max_tokens": "max_output_tokens"},
    "ollama_chat": _OLLAMA_NAMES,
    "ollama_generate": _OLLAMA_NAMES,
}
"""Dialect -> canonical name of a parameter -> the dialect's own, where it has another."""


def parameter(dialect: DialectName, body: JsonObject, name: str) -> list[Path]:
    """Return where a parameter of a request is set; `name` is the canonical one, dots lead into objects.

    More than one place if the client has set it under more than one name; none if it means nothing in the dialect, because
    nothing is generated.
    """
    if dialect in _GENERATES_NOTHING and name in _SAMPLING:
        return []
    if dialect == "openai_chat" and name == "max_tokens":
        given: list[Path] = [(n,) for n in ("max_completion_tokens", "max_tokens") if body.get(n) is not None]
        return given or [("max_completion_tokens",)]
    return [tuple(_NAMES.get(dialect, {}).get(name, name).split("."))]


def given(dialect: DialectName, body: JsonObject, names: Iterable[str]) -> dict[str, Json]:
    """Return what a request sets of parameters, by their canonical names; None for what it does not set."""
    own = _NAMES.get(dialect, {})
    found: dict[str, Json] = {}
    for name in names:
        value: Any = body
        for step in own[name].split(".") if name in own else (name,):
            value = mapping(value).get(step)
        found[name] = value
    return found
