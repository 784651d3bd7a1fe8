"""Dialect -> what reads it, as tables: a new dialect is a module and a row in each."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from jupiter_addons.dialects import (
    anthropic_count_tokens,
    anthropic_messages,
    ndjson,
    ollama,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
    passthrough,
    sse,
)
from jupiter_addons.dialects.call import Call, DialectName, ErrorFamily, JsonObject, Reply
from jupiter_addons.dialects.replies import NoStream
from jupiter_addons.dialects.sse import Frame


class StreamReader(Protocol):
    """Folds the events of a stream into a reply."""

    def read(self, frame: Frame) -> bool:
        """Take in one event; return whether it is the terminal one."""

    def reply(self) -> Reply:
        """Return the answer so far."""

    @property
    def own_tokens(self) -> int:
        """How many tokens the answer is so far, by our own count."""

    def ending(self) -> bytes:
        """Return the events that end the answer here, because it is long enough."""


class Splitter(Protocol):
    """Splits the bytes of a stream into events."""

    def feed(self, data: bytes) -> list[Frame]:
        """Return the events that are complete now."""

    def flush(self) -> Frame | None:
        """Return what never became a whole event."""


PARSERS: Mapping[DialectName, Callable[[JsonObject], Call]] = {
    "openai_chat": openai_chat.parse,
    "openai_responses": openai_responses.parse,
    "openai_completions": openai_completions.parse,
    "openai_embeddings": openai_embeddings.parse,
    "anthropic_messages": anthropic_messages.parse,
    "anthropic_count_tokens": anthropic_count_tokens.parse,
    "ollama_chat": ollama.parse_chat,
    "ollama_generate": ollama.parse_generate,
    "ollama_embed": ollama.parse_embed,
    "passthrough": passthrough.parse,
}

REPLIES: Mapping[DialectName, Callable[[int, bytes], Reply]] = {
    "openai_chat": openai_chat.reply,
    "openai_responses": openai_responses.reply,
    "openai_completions": openai_chat.reply,
    "openai_embeddings": openai_embeddings.reply,
    "anthropic_messages": anthropic_messages.reply,
    "anthropic_count_tokens": anthropic_count_tokens.reply,
    "ollama_chat": ollama.reply,
    "ollama_generate": ollama.reply,
    "ollama_embed": ollama.reply_embed,
    "passthrough": passthrough.reply,
}

STREAM_READERS: Mapping[DialectName, Callable[..., StreamReader]] = {
    "openai_chat": openai_chat.StreamReader,
    "openai_responses": openai_responses.StreamReader,
    "openai_completions": openai_chat.StreamReader,
    "openai_embeddings": NoStream,
    "anthropic_messages": anthropic_messages.StreamReader,
    "anthropic_count_tokens": NoStream,
    "ollama_chat": ollama.StreamReader,
    "ollama_generate": ollama.StreamReader,
    "ollama_embed": NoStream,
    "passthrough": passthrough.StreamReader,
}


class Wire(NamedTuple):
    """How a dialect travels: where a provider is asked, with which headers, and what a streamed answer is."""

    path: str
    """Empty if it is the one that the client asks for."""
    family: ErrorFamily
    headers: tuple[tuple[str, str], ...] = ()
    """What a provider wants besides its key, and a client of another dialect did not send."""
    stream_type: str = "text/event-stream"
    splitter: Callable[[], Splitter] = sse.Splitter


_VERSION = (("anthropic-version", "2023-06-01"),)
_NDJSON = "application/x-ndjson"

WIRES: Mapping[DialectName, Wire] = {
    "openai_chat": Wire("/v1/chat/completions", "openai"),
    "openai_responses": Wire("/v1/responses", "openai"),
    "openai_completions": Wire("/v1/completions", "openai"),
    "openai_embeddings": Wire("/v1/embeddings", "openai"),
    "anthropic_messages": Wire("/v1/messages", "anthropic", _VERSION),
    "anthropic_count_tokens": Wire("/v1/messages/count_tokens", "anthropic", _VERSION),
    "ollama_chat": Wire("/api/chat", "ollama", (), _NDJSON, ndjson.Splitter),
    "ollama_generate": Wire("/api/generate", "ollama", (), _NDJSON, ndjson.Splitter),
    "ollama_embed": Wire("/api/embed", "ollama", (), _NDJSON, ndjson.Splitter),
    "passthrough": Wire("", "openai"),
}
