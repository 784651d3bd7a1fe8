"""What a chat says in no particular dialect: the conversation that is asked, the answer, and the deltas of a streamed one.

Made on demand, when a request goes to a provider of another dialect; rules and limits read the cheaper `Call`.  The
choice: tool arguments are JSON *text* here, as models write them, because two of the four dialects carry them so and a
stream cuts them anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from jupiter_addons.dialects.call import Json, JsonObject, Usage

Sealer = Literal["anthropic", "openai"]
"""Whose model signed or encrypted a piece of reasoning, and alone can read it again."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text.  `cache` is the mark that the prompt may be cached up to here."""

    text: str
    cache: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, by value (`data`, base64) or by `url`; exactly one of them is there."""

    data: str | None = None
    media_type: str | None = None
    url: str | None = None
    detail: str | None = None
    cache: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A file, by value (base64) or by `url`; exactly one of them is there."""

    data: str | None = None
    media_type: str | None = None
    url: str | None = None
    name: str | None = None
    cache: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, made by the model."""

    id: str
    name: str
    arguments: str
    """JSON text, whole or broken, as the model wrote it."""
    cache: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered."""

    call_id: str
    parts: tuple[Text | Image | Document, ...]
    is_error: bool = False
    cache: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """Reasoning.  With a `seal` it goes back to whoever sealed it unchanged, and to nobody else."""

    text: str
    seal: str | None = None
    sealer: Sealer | None = None
    redacted: bool = False
    """There is a seal and no text, by the provider's own choice."""
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """The model's word that it will not answer, where a dialect tells it from text."""

    text: str


type Part = Text | Image | Document | ToolCall | ToolResult | Thinking | Declined

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn.  All results that stand together are one turn of role `tool`."""

    role: Role
    parts: tuple[Part, ...]
    at: str = field(default="", compare=False)
    """Where it stood in the request: the path that a refusal names."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer.  `schema` describes its arguments; None if there are none."""

    name: str
    description: str | None = None
    schema: JsonObject | None = None
    strict: bool | None = None
    cache: JsonObject | None = None


ToolMode = Literal["auto", "none", "required", "tool"]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether a tool must be called; `name` only with `tool`."""

    mode: ToolMode
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Format:
    """JSON is wanted: any (`schema` is None) or by a schema."""

    schema: JsonObject | None = None
    name: str | None = None
    strict: bool | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How much to think.  `enabled` alone leaves the amount to the model."""

    enabled: bool
    effort: str | None = None
    budget_tokens: int | None = None
    shown: bool | None = None
    """Whether a summary of it is wanted in the answer; None leaves that to the provider."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What is asked."""

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    raw: bool = False
    """There is one text, which is to be continued as it stands; roles mean nothing."""
    prefill: bool = False
    """The last turn is the beginning of the answer, and the model is to go on from it."""
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: JsonObject | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    logprobs: bool = False
    top_logprobs: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    openai: JsonObject = field(default_factory=dict)
    """Fields that chat completions and responses have alike, and nobody else has (`store`, `metadata`, …)."""


StopReason = Literal["end", "length", "sequence", "tool", "refused", "context"]
"""Why an answer ended: by itself, at `max_tokens`, at a stop sequence, to call tools, refused or filtered, window full."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    id: str | None
    model: str | None
    parts: tuple[Part, ...]
    stop: StopReason
    stop_sequence: str | None = None
    usage: Usage | None = None
    logprobs: Sequence[Json] | None = None
    """One object a token (`token`, `logprob`, `bytes`, `top_logprobs`), which all dialects that have them write alike."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The answer begins."""

    id: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text, or more of the model's word that it declines."""

    text: str
    declined: bool = False
    logprobs: Sequence[Json] | None = None


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class Seal:
    """The end of a piece of reasoning that is signed; `redacted` if it has no text."""

    seal: str
    sealer: Sealer
    redacted: bool = False
    id: str | None = None


@dataclass(frozen=True, slots=True)
class CallBegin:
    """A tool call begins.  `index` counts the calls of the answer."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class CallDelta:
    """More of a call's arguments."""

    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """A call is whole.  Chat completions do not say so; there the end of the answer does."""

    index: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing more is said; counts may follow."""

    reason: StopReason
    sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """What was used so far; a later one replaces it."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class End:
    """The provider's terminal mark."""


ErrorKind = Literal[
    "invalid_request",
    "authentication",
    "permission",
    "not_found",
    "too_large",
    "rate_limit",
    "timeout",
    "overloaded",
    "server",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """The provider's own error, in the middle of a stream or instead of an answer."""

    kind: ErrorKind
    message: str
    code: str | None = None
    param: str | None = None


type Delta = Begin | TextDelta | ThinkingDelta | Seal | CallBegin | CallDelta | CallEnd | Stop | Count | End | Fault


@dataclass(frozen=True, slots=True)
class Asked:
    """What an answer in the client's dialect has to know of its request."""

    model: str
    """The model asked for, where an answer names none."""
    call_id: str
    """What ids are made of where the provider gives none."""
    at_s: int
    """When it was asked, in seconds since 1970."""
    include_usage: bool = True
    """Whether a stream is to end with its usage (chat completions make that a choice)."""
    body: JsonObject = field(default_factory=dict, repr=False)
    """The request as received, for dialects whose answers repeat some of it."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a provider needs that a client of another dialect had no reason to say."""

    default_max_tokens: int = 4096
    """Anthropic wants a cap with every request; this one is within what each of its models can do."""
    older_cap: bool = False
    """Write `max_tokens`, for servers that do not know `max_completion_tokens`."""
    context_tokens: int | None = None
    """Ollama's `num_ctx`; without it the server's own default, beyond which it would cut the prompt, holds."""
