"""Translation of a call to a provider of another dialect, and of its answer back.

    translated = request(call, received, target, model)         Translated, or the refusal that names the field
    status, body = reply(status, body, source, client, asked)   a whole answer, an error answer included
    translation = stream(source, client, asked)                 .feed(event) -> bytes, .finish()

Rule 1: within one dialect there is no translation: the bytes received are the bytes returned, whatever is in them.

Rule 2: what the target cannot say is refused, or mapped as `dialects/README.md` has it and named in `notes`.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jupiter_addons.dialects.call import Call, DialectName, JsonObject
from jupiter_addons.dialects.registry import WIRES
from jupiter_addons.dialects.replies import mapping
from jupiter_addons.dialects.translation import (
    chat_answer,
    chat_read,
    chat_stream,
    chat_write,
    completions,
    embeddings,
    exact,
    faults,
    messages_answer,
    messages_read,
    messages_stream,
    messages_write,
    ollama_answer,
    ollama_read,
    ollama_write,
    responses_answer,
    responses_read,
    responses_stream,
    responses_write,
)
from jupiter_addons.dialects.translation.conversation import Answer, Asked, Conversation, Options
from jupiter_addons.dialects.translation.reading import unsupported
from jupiter_addons.dialects.translation.streams import Reader, StreamTranslation, Writer
from jupiter_addons.errors import Refusal, RequestError


class Dialect(NamedTuple):
    """One chat dialect, from both sides."""

    read: Callable[[JsonObject, list[str]], Conversation]
    write: Callable[[Conversation, Options, list[str]], dict[str, Any]]
    parse: Callable[[bytes, Asked], Answer]
    render: Callable[[Answer, Asked], dict[str, Any]]
    reader: Callable[[Asked], Reader]
    writer: Callable[[Asked], Writer]


CHATS: Mapping[DialectName, Dialect] = {
    "openai_chat": Dialect(
        chat_read.parse,
        chat_write.render,
        chat_answer.parse,
        chat_answer.render,
        chat_stream.Reader,
        chat_stream.Writer,
    ),
    "anthropic_messages": Dialect(
        messages_read.parse,
        messages_write.render,
        messages_answer.parse,
        messages_answer.render,
        messages_stream.Reader,
        messages_stream.Writer,
    ),
    "ollama_chat": Dialect(
        ollama_read.parse,
        ollama_write.render,
        ollama_answer.parse,
        ollama_answer.render,
        ollama_answer.Reader,
        ollama_answer.Writer,
    ),
    "openai_responses": Dialect(
        responses_read.parse,
        responses_write.render,
        responses_answer.parse,
        responses_answer.render,
        responses_stream.Reader,
        responses_stream.Writer,
    ),
    "openai_completions": Dialect(
        completions.parse,
        completions.render,
        completions.parse_answer,
        completions.render_answer,
        completions.Reader,
        completions.Writer,
    ),
    "ollama_generate": Dialect(
        ollama_read.parse_generate,
        ollama_write.render_generate,
        ollama_answer.parse,
        ollama_answer.render_generate,
        ollama_answer.Reader,
        ollama_answer.GenerateWriter,
    ),
}
"""Every one is translated into every other, as far as it can say it; the one that says the most clients' requests first."""

_RAW: frozenset[DialectName] = frozenset({"openai_completions", "ollama_generate"})
"""What can continue a text without roles."""


class Embedding(NamedTuple):
    """One translation of embeddings: of a request, and of its answer back."""

    request: Callable[[JsonObject, list[str]], dict[str, Any]]
    reply: Callable[[bytes, Asked], dict[str, Any]]


EMBEDDINGS: Mapping[tuple[DialectName, DialectName], Embedding] = {
    ("openai_embeddings", "ollama_embed"): Embedding(embeddings.to_ollama, embeddings.reply_to_openai),
    ("ollama_embed", "openai_embeddings"): Embedding(embeddings.to_openai, embeddings.reply_to_ollama),
}
"""Client's dialect and provider's -> how."""


@dataclass(frozen=True, slots=True)
class Translated:
    """The request for the provider.  `notes` says what became of fields that the target has no place for: `path: what`."""

    body: bytes
    notes: tuple[str, ...] = ()


def can(source: DialectName, target: DialectName) -> bool:
    """Whether there is a translation; a particular request may still be refused."""
    return source == target or (source in CHATS and target in CHATS) or (source, target) in EMBEDDINGS


@functools.cache
def targets(source: DialectName, spoken: frozenset[DialectName]) -> tuple[DialectName, ...]:
    """Return in which of the dialects a provider speaks it can be asked, best first: in the client's own alone if it can.

    What the first cannot say of a request, another may: responses take documents by URL, completions raw prompts.
    """
    if source in spoken:
        return (source,)
    return tuple(
        target for target in (*CHATS, "openai_embeddings", "ollama_embed") if target in spoken and can(source, target)
    )


def request(
    call: Call, received: bytes, target: DialectName, model: str, options: Options | None = None
) -> Translated | Refusal:
    """Return the request for a provider that speaks `target` and knows the model as `model`.

    Within one dialect the bytes are those received, the model in them included.
    """
    if call.dialect == target:
        return Translated(received)
    notes: list[str] = []
    try:
        if not can(call.dialect, target):
            unsupported("model", f"is at a provider that does not speak {call.dialect}, and there is no translation")
        given = {**call.body, "model": model}
        if (embedding := EMBEDDINGS.get((call.dialect, target))) is not None:
            body = embedding.request(given, notes)
        else:
            asked = CHATS[call.dialect].read(given, notes)
            if asked.raw and target not in _RAW:
                unsupported(
                    "prompt", "is to be continued without roles, which the provider that would be asked cannot do"
                )
            body = CHATS[target].write(asked, options or Options(), notes)
    except RequestError as error:
        return error.refusal
    return Translated(exact.dumps(body), tuple(dict.fromkeys(notes)))


def asked_by(call: Call, *, call_id: str, at_s: int) -> Asked:
    """Return what the answer will have to know of a request."""
    wanted = mapping(call.body.get("stream_options")).get("include_usage") is True
    return Asked(call.model, call_id, at_s, wanted, call.body)


def reply(status: int, body: bytes, source: DialectName, client: DialectName, asked: Asked) -> tuple[int, bytes]:
    """Return status and body of a whole answer for the client.

    Raises UpstreamError for a success that cannot be read, or that the client's dialect cannot say.
    """
    if source == client:
        return status, body
    if status >= 300:
        family = WIRES[client].family
        return faults.status_for(family, status), exact.dumps(faults.write(family, faults.read_body(status, body)))
    if (embedding := EMBEDDINGS.get((client, source))) is not None:
        return status, exact.dumps(embedding.reply(body, asked))
    return status, exact.dumps(CHATS[client].render(CHATS[source].parse(body, asked), asked))


def stream(source: DialectName, client: DialectName, asked: Asked) -> StreamTranslation:
    """Return the translation of a streamed answer.  Within one dialect there is none to ask for."""
    return StreamTranslation(CHATS[source].reader(asked), CHATS[client].writer(asked))
