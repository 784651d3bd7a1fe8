"""The configuration keys of the doors and of what lies behind them: `proxy`, `intercept`, `providers`."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_serializer, field_validator, model_validator

from jupiter_addons.routing.provider import ProviderType, matches
from jupiter_addons.routing.provider import address as provider_address
from jupiter_addons.settings.types import Address, Count, Duration, Label, ProviderKey, Section, Size, Timeout

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?")
_HEADER_VALUE = re.compile(r"[!-~](?:[ !-~]*[!-~])?")
_OWN_HEADERS = frozenset(
    {
        "host",
        "content-length",
        "content-encoding",
        "transfer-encoding",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
    }
)
"""What says where a message ends and where it goes: for the proxy to write, not for a configuration."""
_VERSION = r"^[A-Za-z0-9.-]{1,32}$"
MASK = "**********"


class ProxyLimits(Section):
    """What one client may cost before it is known."""

    body: Size = 10 * 1024**2
    """The largest request body."""
    upload: Size = 32 * 1024**2
    """The largest body with files in it (audio, images, files): OpenAI takes 25 MB of audio.  It is held in memory, and counts
    twice against `buffered`."""
    response: Size = 64 * 1024**2
    """The largest answer that is buffered whole (JSON; streams, sound and files are not, unless rules judge the answer)."""
    header_bytes: Size = 64 * 1024
    """The largest request head."""
    header_count: Count = 100
    """The most headers of a request."""
    header_timeout: Timeout = 10.0
    """How long a request head may take."""
    body_rate: Size = 1024
    """The fewest bytes a second a request body may come at, on average, after `header_timeout`."""
    buffered: Size = 128 * 1024**2
    """The most memory that request bodies and their text may take, over all connections; more are answered 503."""


class ProviderTimeouts(Section):
    """How long a provider may take."""

    connect: Timeout = 3.0
    """To accept a connection."""
    tls: Timeout = 5.0
    """To finish a TLS handshake."""
    first_byte: Timeout = 60.0
    """To begin its answer; of a stream, to send its first event."""
    idle: Timeout = 60.0
    """Between bytes of an answer."""
    total: Timeout = 600.0
    """For a call with all its attempts."""


class Cors(Section):
    """Calls from pages of other sites, made by browsers."""

    enabled: bool = False
    """Whether such pages may call."""
    allowed_origins: list[str] = Field(default_factory=list)
    """Which: `https://app.example`, or `*` for all."""
    allowed_headers: list[str] = Field(
        default_factory=lambda: [
            "authorization",
            "content-type",
            "x-api-key",
            "anthropic-*",
            "openai-*",
            "x-stainless-*",
        ]
    )
    """What they may send; a final `*` stands for any characters, as the official SDKs send many of a kind."""
    exposed_headers: list[str] = Field(
        default_factory=lambda: ["x-request-id", "x-jupiter-evidence-id", "x-jupiter-decision", "retry-after"]
    )
    """What they may read of an answer's head."""
    max_age: Duration = 3600.0
    """How long a browser may remember that it may call."""
    allow_credentials: bool = False
    """Whether a browser may send along what it keeps for this site; keys in headers need no such leave."""

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(f"`{origin}` is not an origin such as https://app.example")
        return value

    @field_validator("allowed_headers", "exposed_headers")
    @classmethod
    def _are_names(cls, value: list[str]) -> list[str]:
        for name in value:
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"`{name}` is not the name of a header")
        return value


class Proxy(Section):
    """The listener."""

    listen_address: Address = Field(default=("127.0.0.1", 8080), json_schema_extra={"default": "127.0.0.1:8080"})
    """Where both doors are."""
    admin_address: Address = Field(default=("127.0.0.1", 9090), json_schema_extra={"default": "127.0.0.1:9090"})
    """Where metrics and probes are; keep it private."""
    state_dir: Path = Path("state")
    """Where databases and keys are kept."""
    workers: Annotated[Count, Field(le=256)] = 1
    """How many processes serve; about one a core."""
    shutdown_timeout: Duration = 30.0
    """How long running exchanges may take to end after SIGTERM."""
    max_in_flight: Count = 1000
    """The most requests served at once; more are answered 503."""
    max_connections: Count = 2000
    """The most client connections."""
    max_connections_per_address: Count = 2000
    """The most client connections from one address."""
    write_timeout: Timeout = 30.0
    """How long a client may take no byte of its answer."""
    keep_alive_timeout: Timeout = 75.0
    """How long a client connection is kept without a request."""
    limits: ProxyLimits = ProxyLimits()
    """What one client may cost before it is known."""
    batches: Literal["deny", "pass"] = "deny"
    """Files full of calls that a provider makes later, past every rule and limit: refused, or passed on unread and unpriced."""
    cors: Cors = Cors()
    """Calls from browsers on other sites."""


class Intercept(Section):
    """The intercept door: what happens to clients that set HTTPS_PROXY."""

    enabled: bool = True
    """Whether there is an intercept door."""
    hosts: dict[str, str] = Field(default_factory=dict)
    """Host -> the provider it stands for.  These hosts are opened and governed."""
    unknown_hosts: Literal["tunnel", "deny"] = "tunnel"
    """Every other host: tunnelled untouched, or refused."""
    private_tunnels: bool = False
    """Whether hosts that are tunnelled may have addresses that are not public."""
    unknown_endpoints: Literal["govern", "deny"] = "govern"
    """Other paths of an opened host: decided, counted and recorded as not scanned, and passed on unpriced; or refused."""
    client_key: Literal["auto", "swap", "pass"] = "auto"
    """Whose provider key is sent: ours if configured else the client's, always ours, or always the client's."""
    failover: bool = False
    """Whether another provider that offers the model may answer when the one that the client meant does not."""
    ca_dir: Path | None = None
    """Where the certificate authority is kept; default `<state_dir>/ca`."""


class HealthCheck(Section):
    """Small real calls to a provider, made so that no caller has to find out that it is down, or up again."""

    enabled: bool = False
    """Whether it is checked.  Each check is a call of one output token, by `system:health`, and each worker makes its own."""
    interval: Timeout = 30.0
    """How long from one to the next, more or less."""
    timeout: Timeout = 10.0
    """How long connecting may take, and how long the answer."""
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """What is asked for; null: the first model of the provider that is no pattern."""
    healthy_after: Annotated[Count, Field(le=100)] = 2
    """So many good ones in a row close an open circuit breaker."""
    unhealthy_after: Annotated[Count, Field(le=100)] = 3
    """So many bad ones in a row open it."""


class Provider(Section):
    """One provider."""

    type: ProviderType
    """What it speaks."""
    base_url: str
    """Where it is; a final `/v1` may be left out."""
    api_version: Annotated[str, Field(pattern=_VERSION)] | None = None
    """Of Azure's API that has deployments in its paths; null: of the one that has OpenAI's paths."""
    api_key: ProviderKey | None = None
    """The provider's own key; use `${ENV}` or `${secret:name}`."""
    models: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    """The models it offers; `*` stands for any characters."""
    model_map: dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """Further models it offers, under names of its own: model -> its name, or the name of its deployment."""
    region: Label | None = None
    """Where it works."""
    tags: list[Label] = Field(default_factory=list)
    """What else can be required of it, such as `zero-retention`; its region need not be repeated."""
    priority: Annotated[int, Field(ge=0, le=100)] = 0
    """Those with a lower number are asked before it, whatever the strategy."""
    weight: Annotated[Count, Field(le=1000)] = 1
    """Its share where several offer a model."""
    timeouts: ProviderTimeouts = ProviderTimeouts()
    """How long it may take."""
    max_connections: Count = 1000
    """The most connections to it at once."""
    health_check: HealthCheck = HealthCheck()
    """Small real calls that find out whether it is well."""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """Headers to send along, such as an organisation; their values are masked wherever the configuration is shown."""

    @field_validator("base_url")
    @classmethod
    def _has_address(cls, value: str) -> str:
        try:
            provider_address(value)
        except ValueError as error:
            message = str(error)
            raise ValueError(message[:1].lower() + message[1:]) from error
        return value

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"`{name}` is not the name of a header")
            if name.lower() in _OWN_HEADERS:
                raise ValueError(f"`{name}` is written by the proxy itself")
            if not _HEADER_VALUE.fullmatch(text):
                raise ValueError(f"the value of `{name}` cannot be sent in a header")
        return value

    @model_validator(mode="after")
    def _has_versions_if_azure(self) -> Self:
        if self.api_version is not None and self.type != "azure-openai":
            raise ValueError("`api_version` is for providers of type `azure-openai`")
        return self

    @property
    def checked_model(self) -> str | None:
        """The model that checks ask for; None if none is named that could be."""
        named = (*self.models, *self.model_map)
        return self.health_check.model or next((model for model in named if "*" not in model), None)

    @model_validator(mode="after")
    def _can_be_checked(self) -> Self:
        if not self.health_check.enabled:
            return self
        model = self.checked_model
        if model is None:
            raise ValueError("`health_check` needs a `model`, as the models of this provider are patterns")
        if model not in self.model_map and not any(matches(pattern, model) for pattern in self.models):
            raise ValueError(f"`health_check.model` is `{model}`, which is none of this provider's")
        return self

    @field_serializer("headers", when_used="json")
    def _masked(self, value: dict[str, str]) -> dict[str, str]:
        return dict.fromkeys(value, MASK)
