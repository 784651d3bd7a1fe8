"""Every configuration key, its default and what it means.  `jupiter config schema` prints this as JSON Schema.

A key or value that this version does not act on is refused, never ignored: a limit that is written down and not enforced
is worse than none.  What is promised and not there yet has its key already, with the one value that is true today.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from jupiter_addons.settings.schema_governance import Evidence, Identity, Policy, Processing
from jupiter_addons.settings.schema_limits import Limits
from jupiter_addons.settings.schema_routing import Routing
from jupiter_addons.settings.schema_traffic import Intercept, Provider, Proxy
from jupiter_addons.settings.types import Name, Section, only

__all__ = ["Provider", "Settings"]


class Logging(Section):
    """Log lines."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious lines to write."""
    format: Literal["json", "text"] = "json"
    """For programs or for people."""


class Metrics(Section):
    """Prometheus metrics on the admin port."""

    enabled: bool = True
    """Whether `/metrics` answers."""


class Tracing(Section):
    """OpenTelemetry spans."""

    enabled: Annotated[Literal[False], only(False, "tracing is")] = False
    """Whether spans are sent; not in this version."""


class Telemetry(Section):
    """What is seen."""

    logging: Logging = Logging()
    """Log lines."""
    metrics: Metrics = Metrics()
    """Prometheus metrics on the admin port."""
    tracing: Tracing = Tracing()
    """OpenTelemetry spans."""


class Tls(Section):
    """TLS on the listener."""

    enabled: Annotated[Literal[False], only(False, "TLS on the listener is")] = False
    """Whether the listener speaks TLS; not in this version."""
    cert_file: Path | None = None
    """Its certificate chain, PEM."""
    key_file: Path | None = None
    """Its private key, PEM."""


class Mtls(Section):
    """Certificates of clients."""

    enabled: Annotated[Literal[False], only(False, "mTLS on the listener is")] = False
    """Whether clients must show one; not in this version."""


class Security(Section):
    """Certificates: ours, clients' and providers'."""

    tls: Tls = Tls()
    """TLS on the listener."""
    mtls: Mtls = Mtls()
    """Certificates of clients."""
    upstream_ca_file: Path | None = None
    """Authorities, PEM, that providers' certificates may be signed by beside the public ones."""


class Settings(Section):
    """The whole configuration."""

    environment: Name = "production"
    """Where this runs; rules read it as `context.environment`."""
    proxy: Proxy = Proxy()
    """The listener."""
    intercept: Intercept = Intercept()
    """The intercept door: what happens to clients that set HTTPS_PROXY."""
    providers: dict[Name, Provider] = Field(min_length=1)
    """Name -> who is asked.  At least one."""
    routing: Routing = Routing()
    """Which provider is asked."""
    policy: Policy = Policy()
    """The rules."""
    processing: Processing = Processing()
    """What is worked out about a call."""
    limits: Limits = Limits()
    """How much is too much."""
    evidence: Evidence = Evidence()
    """The signed record."""
    identity: Identity = Identity()
    """Who may call."""
    telemetry: Telemetry = Telemetry()
    """What is seen."""
    security: Security = Security()
    """Certificates: ours, clients' and providers'."""
