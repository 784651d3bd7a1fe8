"""Dialect -> what reads it, as tables: a new dialect is a module and a row in each."""

from collections.abc import Callable, Mapping
from typing import Protocol

from jupiter_addons.dialects import anthropic_messages, openai_chat
from jupiter_addons.dialects.call import Call, DialectName, JsonObject, Reply
from jupiter_addons.dialects.sse import Frame


class StreamReader(Protocol):
    """Folds the events of a stream into a reply."""

    def read(self, frame: Frame) -> bool:
        """Take in one event; return whether it is the terminal one."""

    def reply(self) -> Reply:
        """Return the answer so far."""


PARSERS: Mapping[DialectName, Callable[[JsonObject], Call]] = {
    "openai_chat": openai_chat.parse,
    "anthropic_messages": anthropic_messages.parse,
}

REPLIES: Mapping[DialectName, Callable[[int, bytes], Reply]] = {
    "openai_chat": openai_chat.reply,
    "anthropic_messages": anthropic_messages.reply,
}

STREAM_READERS: Mapping[DialectName, Callable[..., StreamReader]] = {
    "openai_chat": openai_chat.StreamReader,
    "anthropic_messages": anthropic_messages.StreamReader,
}
