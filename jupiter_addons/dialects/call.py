"""The canonical call and reply: what every dialect is read into, and all that the core packages know of a wire format.

Only what is acted on has a field.  The parsed body rides along unchanged in `body`, and the received bytes stay the ones
that are forwarded: nothing here is ever printed back to a provider of the same dialect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

type Json = bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None
"""A parsed JSON value."""

type JsonObject = Mapping[str, Json]

DialectName = Literal[
    "openai_chat",
    "openai_responses",
    "openai_completions",
    "openai_embeddings",
    "anthropic_messages",
    "anthropic_count_tokens",
    "ollama_chat",
    "ollama_generate",
    "ollama_embed",
    "passthrough",
]
"""`passthrough` is no dialect: what is sent on as it came, to providers that have the same path, read as far as it can be."""

Operation = Literal[
    "chat",
    "text_completion",
    "embeddings",
    "count_tokens",
    "models",
    "moderations",
    "speech",
    "transcriptions",
    "translations",
    "image_generations",
    "image_edits",
    "image_variations",
    "files",
    "batches",
    "unknown",
]
"""What an endpoint does, whatever the dialect: the OpenTelemetry `gen_ai.operation.name` where there is one.

`models` is a list that the gateway answers itself; `unknown` is whatever is at a path that nobody here knows."""

Body = Literal["json", "form", "json or form", "none", "any"]
"""What an endpoint takes."""

ErrorFamily = Literal["openai", "anthropic", "ollama"]
"""Whose error envelope a client of this endpoint expects."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of the allow-list, as `dialects.endpoints` finds it."""

    path: str
    """As it is asked for; with `{id}` where a segment names something that was made before."""
    method: str
    dialect: DialectName | None
    """None where no call is parsed."""
    operation: Operation
    errors: ErrorFamily
    body: Body = "json"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of the conversation.  `text` joins all text parts with a newline; `parts` counts every part, text or not."""

    role: str
    text: str
    parts: int = 1


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form, as far as anybody looks at it."""

    field: str
    name: str
    media_type: str | None
    """What the client calls it; nobody has looked."""
    length: int


@dataclass(frozen=True, slots=True)
class Call:
    """One model call, in no particular dialect."""

    dialect: DialectName
    operation: Operation
    model: str
    """The *requested* model: as the client spelled it in `body`, here under the one name that rules and prices have for it.
    Empty where none is named."""
    stream: bool
    messages: tuple[Message, ...]
    """System prompt first where the dialect keeps it apart."""
    max_tokens: int | None
    """The cap on output tokens, whichever field the dialect has for it; None if the client set none."""
    n: int
    """How many answers are asked for, at least 1."""
    claimed_user: str | None
    """The body's own word on who is asking.  A claim, never the authenticated principal."""
    tools: tuple[str, ...]
    """The names of the tools offered."""
    body: JsonObject = field(repr=False)
    """The whole parsed body; never mutated."""
    opaque: tuple[str, ...] = ()
    """Paths of what the model will read and nobody here can: token numbers, conversations kept at the provider, files."""
    files: tuple[Upload, ...] = ()
    is_json: bool = True
    """Whether the body received is the JSON that `body` was read from: what changes its members by splice can be done."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them.  Cached and reasoning tokens are parts of input and output, not additions."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cache_write_1h_tokens: int = 0
    """Of `cache_write_tokens`: what is kept for an hour, which costs more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the provider answered, as far as it is known: a stream that was cut has no finish reason."""

    response_id: str | None = None
    model: str | None = None
    text: str = ""
    """The text of all choices and tool arguments, up to a bound."""
    text_bytes: int = 0
    """How long that text is in UTF-8, bound or not."""
    tool_calls: tuple[str, ...] = ()
    """The names of the tools called, in order."""
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    complete: bool = False
    """Whether the provider's own terminal mark was seen (a JSON body: whether it was whole)."""
    error: str | None = None
    """The provider's own error type, from a JSON error body or an error event."""
    own_tokens: int = 0
    """How many tokens its text is, by our own count."""
    unread: bool = False
    """Whether there is something in it that nobody here can read: sound, pictures, a file."""
