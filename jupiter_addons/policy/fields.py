"""The fields of MPL as one table: what rules can read, of which kind, at what price, and under which published names.

The table is also the contract with whoever supplies facts: each root is a callable that gives nested mappings, lists and
values of JSON in the shape the paths spell; what is absent is null.  A field that is costly (`scan` reads all text, `lookup`
asks a counter or another part) is best given as a `facts.Lazy`: it is worked out only where a rule needs it, and if that
fails, the field is a surprise.  So it is if the facts do not have it, were it as null: a counter that is never filled would
be a limit that never holds.  A cheap field may not fail.

Lists hold: `request.messages` mappings {role, name, content (its text), parts [{type, text, …}]}, `request.tools` and the
`types`, `patterns`, `categories` of findings texts.  `content[…]` of a message reads its parts.  Costs are US dollars because
published policies compare them with dollars; a comparison with them is never more exact than a float, and no money is
counted here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "number", "boolean", "list", "any"]
Phase = Literal["request", "response"]
Cost = Literal["cheap", "scan", "lookup"]


@dataclass(frozen=True, slots=True)
class Known:
    """A field: its kind, what it is, what it costs to read, and its other published spellings."""

    path: str
    kind: Kind
    about: str
    cost: Cost = "cheap"
    nullable: bool = True
    """Whether it can be absent."""
    aliases: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    """The only values it takes, if they are few: comparing it with another is a mistake."""
    element: Kind = "any"
    """What a list holds."""

    @property
    def phase(self) -> Phase:
        """The first phase in which it has a value."""
        return "response" if self.path.startswith("response.") else "request"


SEVERITIES = ("low", "medium", "high", "critical")
"""In their order."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_PII, _INJECTION, _SENSITIVE, _SENTIMENT = (
    f"processing.content_analysis.{name}"
    for name in ("pii_detection", "prompt_injection", "sensitive_content", "sentiment")
)
_TOKENS, _COSTS, _TALK = (f"processing.{name}" for name in ("token_estimate", "cost_estimate", "conversation_context"))


def _request() -> Iterator[Known]:
    yield Known("request.model", "string", "the model asked for, as the client spelled it", nullable=False)
    yield Known("request.model_family", "string", "the family of the model: gpt, claude, …")
    yield Known("request.request_id", "string", "the id of the call", aliases=("metadata.request_id",))
    yield Known("request.type", "string", "what is asked for: `completion` (chat or text) or another operation's name")
    yield Known("request.source", "string", "`api` at the gateway door, `proxy` at the intercept door")
    yield Known("request.output_format", "string", "`json` if the answer shall be JSON, else `text`")
    yield Known("request.stream", "boolean", "whether the answer is streamed", nullable=False)
    for name in ("temperature", "top_p", "n", "frequency_penalty", "presence_penalty"):
        yield Known(f"request.{name}", "number", f"the body's `{name}`")
    yield Known("request.max_tokens", "number", "the cap on output tokens, whichever field the dialect has for it")
    yield Known("request.stop", "any", "the body's `stop`: a text or a list")
    yield Known("request.user", "string", "who the body claims to speak for; never the authenticated principal")
    yield Known("request.messages", "list", "the conversation, system prompt first", nullable=False)
    yield Known("request.tools", "list", "the names of the tools offered", nullable=False, element="string")
    yield Known("request.prompt", "string", "the text of the user's last message")
    yield Known("request.text", "string", "the text of all messages", nullable=False)
    yield Known("request.has_images", "boolean", "whether any message holds an image", nullable=False)
    yield Known("request.endpoint", "string", "the path asked for, with `{id}` in the place of an id", nullable=False)
    yield Known("request.method", "string", "the HTTP method", nullable=False)
    yield Known("request.body_bytes", "number", "the length of the body as it came", nullable=False)
    yield Known("request.files", "list", "the names of files uploaded", nullable=False, element="string")
    types = "what the client says they are, such as `audio/mpeg`"
    yield Known("request.file_types", "list", types, nullable=False, element="string")
    yield Known("request.file_bytes", "number", "the length of all files together", nullable=False)


def _processing() -> Iterator[Known]:
    total = ("request.estimated_tokens", "request.estimated_total_tokens", "request.tokens")
    prompt = ("request.estimated_prompt_tokens", "request.prompt_tokens")
    yield Known(f"{_TOKENS}.total_tokens", "number", "prompt and completion tokens", aliases=total)
    yield Known(f"{_TOKENS}.prompt_tokens", "number", "tokens of the prompt, estimated", aliases=prompt)
    yield Known(f"{_TOKENS}.completion_tokens", "number", "the most tokens the answer can have")
    yield Known(f"{_COSTS}.total_cost", "number", "dollars, at most", aliases=("request.estimated_cost",))
    yield Known(f"{_COSTS}.prompt_cost", "number", "dollars for the prompt")
    yield Known(f"{_COSTS}.completion_cost", "number", "dollars for the longest answer")
    yield Known(f"{_TALK}.turn_count", "number", "messages from the user")
    yield Known(f"{_TALK}.total_tokens", "number", "tokens of the conversation")
    yield Known(f"{_TALK}.context_window", "number", "tokens the model can take", aliases=("model.context_window",))
    yield Known(f"{_TALK}.context_window_usage", "number", "tokens of that taken by this call")
    yield Known(f"{_TALK}.context_window_percent", "number", "the share taken, from 0 to 1")
    score = "from 1 to 10, from findings, size and tools"
    yield Known("processing.risk_score", "number", f"risk, {score}", "scan", aliases=("request.risk_score",))
    yield Known(
        "processing.complexity_score", "number", f"complexity, {score}", "scan", aliases=("request.complexity_score",)
    )
    found: tuple[str, ...] = (f"{_PII}.has_pii", "request.contains_pii", "request.contains_potential_pii")
    yield Known(f"{_PII}.detected", "boolean", "whether personal data was found", "scan", aliases=found)
    kinds: tuple[str, ...] = (f"{_PII}.pii_types",)
    yield Known(f"{_PII}.types", "list", "the kinds found, sorted", "scan", aliases=kinds, element="string")
    sure = ("request.pii_confidence",)
    yield Known(f"{_PII}.confidence", "number", "of the surest finding, 0 to 1", "scan", aliases=sure)
    yield Known(f"{_PII}.count", "number", "how many were found", "scan")
    found = (f"{_INJECTION}.has_prompt_injection",)
    yield Known(f"{_INJECTION}.detected", "boolean", "whether an injection was found", "scan", aliases=found)
    yield Known(f"{_INJECTION}.confidence", "number", "how surely, 0 to 1", "scan")
    kinds = (f"{_INJECTION}.injection_type",)
    yield Known(f"{_INJECTION}.type", "string", "the kind of injection", "scan", aliases=kinds)
    yield Known(f"{_INJECTION}.patterns", "list", "the patterns that were met", "scan", element="string")
    found = (f"{_SENSITIVE}.has_sensitive_content", "request.contains_sensitive_content")
    yield Known(f"{_SENSITIVE}.detected", "boolean", "whether sensitive content was found", "scan", aliases=found)
    yield Known(f"{_SENSITIVE}.categories", "list", "its categories, sorted", "scan", element="string")
    yield Known(f"{_SENSITIVE}.severity", "string", "the gravest of them", "scan", one_of=SEVERITIES)
    yield Known(f"{_SENTIMENT}.score", "number", "from -1 to 1", "scan")
    labels = ("positive", "neutral", "negative")
    yield Known(f"{_SENTIMENT}.label", "string", "the score in a word", "scan", one_of=labels)


def _context() -> Iterator[Known]:
    for name in ("hour", "minute", "day", "month", "year"):
        yield Known(
            f"context.time.{name}", "number", f"the {name} of arrival, in the policy's `timezone`", nullable=False
        )
    yield Known("context.time.day_of_week", "string", "Monday to Sunday", nullable=False, one_of=DAYS)
    numbered = ("context.time.day_of_week_num",)
    yield Known("context.time.weekday", "number", "0 (Sunday) to 6", nullable=False, aliases=numbered)
    yield Known("context.time.date", "string", "like 2026-11-24", nullable=False)
    now = ("time.now", "request.timestamp")
    yield Known("context.time.timestamp", "number", "seconds since 1970, UTC", nullable=False, aliases=now)
    yield Known("context.environment", "string", "as configured", aliases=("environment",))
    yield Known("context.emergency_mode", "boolean", "the operator's switch", aliases=("system.emergency_mode",))
    yield Known("context.door", "string", "`gateway` or `intercept`", nullable=False, one_of=("gateway", "intercept"))
    address = ("request.ip_address",)
    yield Known("context.client_ip", "string", "the client's address", nullable=False, aliases=address)
    who = ("context.user_attributes.user_id", "context.user_attributes.id")
    yield Known("context.user_id", "string", "the authenticated user", aliases=who)
    team = ("context.user_attributes.team",)
    yield Known("context.team", "string", "the team of the authenticated user", aliases=team)
    own = "context.user_attributes"
    yield Known(f"{own}.roles", "list", "the roles of the authenticated user", element="string")
    yield Known(f"{own}.authenticated", "boolean", "whether the caller has proved who it is")
    per_hour = ("rate_limit.hourly", "rate_limit.current")
    for name, about, aliases in (
        ("requests_this_second", "requests in this second", ("rate_limit.per_second",)),
        ("requests_this_hour", "requests in this hour", per_hour),
        ("model_requests_this_hour", "requests for this model in this hour", ("rate_limit.model_hourly",)),
        ("requests_today", "requests today", ()),
        ("daily_token_usage", "tokens today", ("rate_limit.daily_tokens",)),
        ("monthly_token_usage", "tokens this month", ()),
        ("daily_tokens_remaining", "tokens left of today's budget, if there is one", ("quota.daily_tokens_remaining",)),
        ("daily_cost", "dollars today", ()),
        ("monthly_cost", "dollars this month", ()),
    ):
        yield Known(f"{own}.{name}", "number", f"{about}, of the authenticated user", "lookup", aliases=aliases)


def _response() -> Iterator[Known]:
    content = ("response.choices[0].message.content",)
    yield Known("response.content", "string", "the text of the answer", aliases=content)
    yield Known("response.finish_reason", "string", "why it ended, as the provider says")
    yield Known("response.model", "string", "the model that answered, as the provider says")
    yield Known("response.request_id", "string", "the id of the answer, as the provider says")
    yield Known("response.tool_calls", "list", "the names of the tools called", element="string")
    yield Known("response.status_code", "number", "the HTTP status of the provider")
    yield Known("response.error", "string", "the provider's type of error, if it answered with one")
    for name, alias in (
        ("prompt_tokens", "prompt_tokens"),
        ("completion_tokens", "completion_tokens"),
        ("total_tokens", "tokens"),
    ):
        yield Known(f"response.usage.{name}", "number", "as the provider counted", aliases=(f"response.{alias}",))
    yield Known("response.actual_cost", "number", "dollars charged")
    yield Known("attempt.number", "number", "1 for the first provider tried, and so on")


FIELDS: Mapping[str, Known] = {
    known.path: known for rows in (_request(), _processing(), _context(), _response()) for known in rows
}

MESSAGE_FIELDS: Mapping[str, Kind] = {"role": "string", "content": "string", "name": "string", "parts": "list"}
"""What `request.messages[N]` has.  `content[…]` is a way to spell its `parts`."""
PART_FIELDS: Mapping[str, Kind] = {"type": "string", "text": "string"}
"""What a part of a message has at least.  Types: text, image, audio, file, tool_use, tool_result."""

PROVIDER_FIELDS: Mapping[str, Kind] = {
    "health_status": "string",
    "circuit_breaker_state": "string",
    "region": "string",
    "avg_latency_ms": "number",
    "consecutive_failures": "number",
    "current_cost_per_token": "number",
}
"""What `provider.NAME` has for each configured provider.  Which one is chosen is not known while policies decide."""

HEADERS = frozenset({
    "user_agent", "origin", "referer", "accept_language", "content_type", "traceparent",
    "x_request_id", "x_environment", "x_team_id", "x_user_id", "x_session_id", "x_project_id",
})  # fmt: skip
"""The headers that rules may read, in lower case with underscores; none that carries a secret."""

FREE = ("request.metadata.", "context.user_attributes.")
"""Maps whose keys the operator or the client names; their values may be of any kind."""

ROOTS = ("request.", "processing.", "context.", "response.", "provider.", "attempt.")
"""How every field begins: what facts are asked for."""
