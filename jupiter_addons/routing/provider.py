"""A provider as configured: its address, its key, what it speaks and which models it offers."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from jupiter_addons.dialects.call import DialectName
from jupiter_addons.dialects.translate import targets
from jupiter_addons.routing.checks import CheckRules

ProviderType = Literal["openai", "anthropic", "ollama", "openai-compatible", "azure-openai", "rehearsal"]

_COMPATIBLE: frozenset[DialectName] = frozenset(
    {"openai_chat", "openai_completions", "openai_embeddings", "passthrough"}
)
_OPENAI = _COMPATIBLE | frozenset[DialectName]({"openai_responses"})
_ANTHROPIC: frozenset[DialectName] = frozenset({"anthropic_messages", "anthropic_count_tokens"})
_OLLAMA: frozenset[DialectName] = frozenset({"ollama_chat", "ollama_generate", "ollama_embed"})

DIALECTS: Mapping[ProviderType, frozenset[DialectName]] = {
    "openai": _OPENAI,
    "openai-compatible": _COMPATIBLE,
    "azure-openai": _OPENAI,
    "anthropic": _ANTHROPIC,
    "ollama": _OLLAMA,
    "rehearsal": _OPENAI | _ANTHROPIC | _OLLAMA,
}
"""What a type speaks.  Compatible servers are not taken at their word for responses, which many do not have: those are asked
of them as chats."""

_PER_DEPLOYMENT = frozenset(
    {
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/audio/speech",
        "/audio/transcriptions",
        "/audio/translations",
        "/images/generations",
        "/images/edits",
    }
)
"""What Azure has under `/openai/deployments/NAME`; its other endpoints read the model from the body, as OpenAI's do."""

_LISTS = ("/files", "/batches")
"""What can be listed at Azure: a page of a list is asked for by the query."""
_NOT_AZURE = frozenset({"/v1/moderations", "/v1/images/variations"})
"""What Azure does not have of what is passed on."""

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a provider may take, in seconds."""

    connect: float = 3.0
    tls: float = 5.0
    first_byte: float = 60.0
    """Until the head of an answer, or the first event of a stream."""
    idle: float = 60.0
    """Between bytes after that."""
    total: float = 600.0
    """For a call with all its attempts."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One configured provider."""

    name: str
    type: ProviderType
    scheme: Literal["http", "https"]
    host: str
    port: int
    prefix: str
    """The path of the base URL without a trailing `/v1`: what comes before an endpoint's own path."""
    models: tuple[str, ...]
    """Names it offers; `*` stands for any characters."""
    api_key: str | None = field(default=None, repr=False)
    weight: int = 1
    headers: tuple[tuple[str, str], ...] = ()
    timeouts: Timeouts = Timeouts()
    max_connections: int = 1000
    priority: int = 0
    """Those of a lower number are asked before it, whatever the strategy."""
    region: str | None = None
    tags: frozenset[str] = frozenset()
    """What can be required of it, such as where it keeps data."""
    model_map: Mapping[str, str] = field(default_factory=dict)
    """Model -> what this provider calls it; those are offered as well."""
    api_version: str | None = None
    """Of Azure's API with deployments in its paths; None for the one that has OpenAI's paths."""
    check: CheckRules | None = None
    """How it is checked; None: not at all."""

    @property
    def dialects(self) -> frozenset[DialectName]:
        """What this type of provider speaks."""
        return DIALECTS[self.type]

    def serves(self, dialect: DialectName) -> bool:
        """Whether a client of `dialect` can be served, be it by translation."""
        return bool(targets(dialect, self.dialects))

    def has(self, path: str) -> bool:
        """Whether what is passed on can be asked for at this path, as far as its type tells."""
        return "passthrough" in self.dialects and not (self.type == "azure-openai" and path in _NOT_AZURE)

    @property
    def authority(self) -> str:
        """The Host header to send."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def path_for(self, target: str, model: str = "") -> str:
        """Return the upstream request target for one of OpenAI's, Anthropic's or Ollama's (`/v1/…`, query included).

        `model` is what this provider calls it.  Azure's has a version, and for most endpoints the deployment:
        `/openai/deployments/MODEL/chat/completions?api-version=…`; a query of the client's has a meaning for lists only.
        """
        if self.api_version is None:
            return self.prefix + target
        path, _, query = target.removeprefix("/v1").partition("?")
        where = f"/deployments/{quote(model, safe='')}" if path in _PER_DEPLOYMENT else ""
        prefix = self.prefix.removesuffix("/openai")
        version = f"api-version={quote(self.api_version, safe='')}"
        asked = [part for part in query.split("&") if part and unquote(part.partition("=")[0]).lower() != "api-version"]
        more = "&".join(["", *asked]) if path.startswith(_LISTS) else ""
        return f"{prefix}/openai{where}{path}?{version}{more}"

    def credential(self, key: str, spoken: DialectName) -> tuple[bytes, bytes]:
        """Return the header field that a key is sent in where the provider is asked in a dialect."""
        if self.type == "azure-openai":
            return b"api-key", key.encode()
        if spoken in _ANTHROPIC or self.type == "anthropic":
            return b"x-api-key", key.encode()
        return b"authorization", b"Bearer " + key.encode()

    def offers(self, model: str) -> bool:
        """Whether `model` is one of this provider's, compared exactly but for `*`."""
        return model in self.model_map or any(matches(pattern, model) for pattern in self.models)

    def called(self, model: str) -> str:
        """Return what this provider calls a model."""
        return self.model_map.get(model, model)

    @property
    def as_checked(self) -> "Provider":
        """This provider, with the patience that a check has."""
        if self.check is None:
            return self
        most_s, own = self.check.timeout_s, self.timeouts
        patience = Timeouts(
            connect=min(own.connect, most_s),
            tls=min(own.tls, most_s),
            first_byte=min(own.first_byte, most_s),
            idle=min(own.idle, most_s),
            total=own.total,
        )
        return replace(self, timeouts=patience)

    @property
    def answers_to(self) -> frozenset[str]:
        """What can be required of it: its tags, and its region."""
        return self.tags | {self.region} if self.region is not None else self.tags


@functools.lru_cache(4096)
def matches(pattern: str, name: str) -> bool:
    """Whether `name` is what `pattern` stands for; `*` is any run of characters, everything else is itself."""
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == name
    if not name.startswith(first):
        return False
    at = len(first)
    *middle, last = rest
    for piece in middle:
        found = name.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return name.endswith(last) and len(name) - len(last) >= at


def address(base_url: str) -> tuple[Literal["http", "https"], str, int, str]:
    """Return scheme, host, port and path prefix of a base URL.

    `https://api.openai.com/v1` and `https://api.anthropic.com` mean the same kind of thing in their SDKs: a final `/v1` is
    taken off, because every endpoint's path brings it.  Raises ValueError saying what is wrong.
    """
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("a base URL starts with http:// or https://")
    if not parts.hostname:
        raise ValueError("the base URL names no host")
    if parts.username or parts.password:
        raise ValueError("the base URL must not hold credentials; use `api_key`")
    if parts.query or parts.fragment:
        raise ValueError("the base URL must not have a query or fragment")
    prefix = parts.path.rstrip("/").removesuffix("/v1")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return scheme, parts.hostname, parts.port or _PORTS[scheme], prefix
