"""Every configuration key, its default and what it means.  `jupiter config schema` prints this as JSON Schema.

A key that this version does not act on is refused, never ignored: a limit that is written down and not enforced is worse
than none.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, SecretStr, field_validator

from jupiter_addons.routing.provider import address as provider_address
from jupiter_addons.settings.types import Address, Duration, Size

type Scalar = str | int | float | bool
Count = Annotated[int, Field(ge=1, le=10**12)]


class Section(BaseModel):
    """A mapping in which every key is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, use_attribute_docstrings=True)


class ProxyLimits(Section):
    """What one client may cost before it is known."""

    body: Size = 10 * 1024**2
    """The largest request body."""
    response: Size = 64 * 1024**2
    """The largest answer that is buffered whole (JSON; streams are not)."""
    header_bytes: Size = 64 * 1024
    """The largest request head."""
    header_count: PositiveInt = 100
    """The most headers of a request."""
    header_timeout: Duration = 10.0
    """How long a request head may take."""


class Proxy(Section):
    """The listener."""

    listen_address: Address = ("127.0.0.1", 8080)
    """Where both doors are."""
    admin_address: Address = ("127.0.0.1", 9090)
    """Where metrics and probes are; keep it private."""
    state_dir: Path = Path("state")
    """Where databases and keys are kept."""
    workers: Literal[1] = 1
    """How many processes serve; this version has one."""
    shutdown_timeout: Duration = 30.0
    """How long running exchanges may take to end after SIGTERM."""
    max_in_flight: PositiveInt = 1000
    """The most requests served at once; more are answered 503."""
    max_connections: PositiveInt = 2000
    """The most client connections."""
    limits: ProxyLimits = ProxyLimits()


class Intercept(Section):
    """The intercept door: what happens to clients that set HTTPS_PROXY."""

    enabled: bool = True
    hosts: dict[str, str] = Field(default_factory=dict)
    """Host -> the provider it stands for.  These hosts are opened and governed."""
    unknown_hosts: Literal["tunnel", "deny"] = "tunnel"
    """Every other host: tunnelled untouched, or refused."""
    unknown_endpoints: Literal["deny"] = "deny"
    """Other paths of an opened host; this version refuses them."""
    client_key: Literal["auto", "swap", "pass"] = "auto"
    """Whose provider key is sent: ours if configured else the client's, always ours, or always the client's."""
    ca_dir: Path | None = None
    """Where the certificate authority is kept; default `<state_dir>/ca`."""


class Provider(Section):
    """One provider."""

    type: Literal["openai", "anthropic", "openai-compatible", "rehearsal"]
    base_url: str
    api_key: SecretStr | None = None
    """The provider's own key; use `${ENV}` or `${secret:name}`."""
    models: list[str] = Field(min_length=1)
    """The models it offers; `*` stands for any characters."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Its share where several offer a model."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers to send along, such as an organisation."""

    @field_validator("base_url")
    @classmethod
    def _has_address(cls, value: str) -> str:
        provider_address(value)
        return value


class Routing(Section):
    """Which provider is asked."""

    strategy: Literal["weighted"] = "weighted"


class Policy(Section):
    """The rules."""

    mode: Literal["file"] = "file"
    file_path: Path | None = None
    """A policy file, or a directory of them; none means no rules."""
    default: Literal["allow", "deny"] = "allow"
    """What holds if no rule decides."""


class Tokens(Section):
    """Counting tokens."""

    default_max_output: PositiveInt = 4096
    """Output tokens assumed for a request that sets no cap."""


class Costs(Section):
    """Counting money."""

    unknown_model: Literal["refuse", "free"] = "refuse"
    """A model without a known price: refused, or charged nothing and recorded so."""
    overrides: dict[str, dict[Literal["input", "output", "cache_read", "cache_write"], str | float]] = Field(
        default_factory=dict
    )
    """Model -> dollars per million tokens, in place of the price library's."""

    @field_validator("overrides")
    @classmethod
    def _both(cls, value: dict[str, dict[str, str | float]]) -> dict[str, dict[str, str | float]]:
        for model, price in value.items():
            if not {"input", "output"} <= price.keys():
                raise ValueError(f"the price of `{model}` needs `input` and `output`")
            for amount in price.values():
                if float(amount) < 0:
                    raise ValueError(f"the price of `{model}` is negative")
        return value


class Processing(Section):
    """What is worked out about a call."""

    tokens: Tokens = Tokens()
    costs: Costs = Costs()


class Rates(Section):
    """Rates of requests, in any window of that length."""

    requests_per_second: Count | None = None
    requests_per_minute: Count | None = None
    requests_per_hour: Count | None = None
    requests_per_day: Count | None = None

    def given(self) -> dict[str, int]:
        """Return the rates that are set."""
        return {name: value for name, value in self if value is not None}


class LimitStorage(Section):
    """Where counters are kept."""

    url: Literal["memory:"] = "memory:"
    """This version counts in memory; a restart starts anew."""


class Limits(Section):
    """How much is too much."""

    storage: LimitStorage = LimitStorage()
    default: Rates = Rates(requests_per_minute=600)
    """For each user."""
    by_user: dict[str, Rates] = Field(default_factory=dict)
    """User -> what replaces the default, rate by rate."""
    by_team: dict[str, Rates] = Field(default_factory=dict)
    by_model: dict[str, Rates] = Field(default_factory=dict)
    overall: Rates = Field(default=Rates(), alias="global")


class Evidence(Section):
    """The signed record."""

    url: Annotated[str, Field(pattern=r"^sqlite:.+")] = "sqlite:state/evidence.db"
    """Where the log is kept."""
    durability: Literal["strict"] = "strict"
    """A decision is on disk before anything is sent, an outcome before its answer is complete."""
    signing_key_path: Path | None = None
    """The directory of the signing keys; default `<state_dir>/signing`."""


class PrincipalEntry(Section):
    """What is known of a user."""

    team: str | None = None
    roles: list[str] = Field(default_factory=list)
    attributes: dict[str, Scalar] = Field(default_factory=dict)


class Identity(Section):
    """Who may call."""

    keys: Path | None = None
    """The database of Jupiter keys; default `<state_dir>/keys.db`."""
    principals: dict[str, PrincipalEntry] = Field(default_factory=dict)
    """User -> team, roles, attributes."""
    anonymous: Literal["deny"] = "deny"


class Logging(Section):
    """Log lines."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


class Metrics(Section):
    """Prometheus metrics on the admin port."""

    enabled: bool = True


class Telemetry(Section):
    """What is seen."""

    logging: Logging = Logging()
    metrics: Metrics = Metrics()


class Settings(Section):
    """The whole configuration."""

    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = "production"
    """Where this runs; rules read it as `context.environment`."""
    proxy: Proxy = Proxy()
    intercept: Intercept = Intercept()
    providers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")], Provider] = Field(min_length=1)
    routing: Routing = Routing()
    policy: Policy = Policy()
    processing: Processing = Processing()
    limits: Limits = Limits()
    evidence: Evidence = Evidence()
    identity: Identity = Identity()
    telemetry: Telemetry = Telemetry()
