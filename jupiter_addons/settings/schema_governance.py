"""The configuration keys of what is decided and kept: `policy`, `processing`, `evidence`, `identity`."""

import datetime
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from jupiter_addons.addresses import archive_address
from jupiter_addons.evidence.cosignature import parse_cosigner
from jupiter_addons.evidence.schedule import parse
from jupiter_addons.settings.types import Count, Duration, Section, Size, Timeout, later, only

type Scalar = str | int | float | bool


class Policy(Section):
    """The rules."""

    mode: Annotated[Literal["file"], later(git="policies from git are not available in this version")] = "file"
    """Where rules come from."""
    file_path: Path | None = None
    """A policy file, or a directory of them; none means no rules."""
    watch: Annotated[Literal[False], only(False, "reloading policies is")] = False
    """Whether changed files are read while running; this version reads them at start."""
    default: Literal["allow", "deny"] = "allow"
    """What holds if no rule decides."""
    emergency_mode: bool = False
    """The operator's switch, which rules read as `context.emergency_mode`; it is read again on SIGHUP."""


class Tokens(Section):
    """Counting tokens."""

    default_max_output: Count = 4096
    """Output tokens assumed for a request that sets no cap."""
    windows: dict[str, Count] = Field(default_factory=dict)
    """Model -> how many tokens it takes in and gives out together, in place of the price library's."""


type ModelPrice = dict[
    Literal[
        "input",
        "output",
        "cache_read",
        "cache_write",
        "web_search",
        "file_search",
        "code_interpreter",
        "code_execution",
    ],
    str | float,
]


def _check_price(model: str, price: ModelPrice) -> None:
    if not {"input", "output"} <= price.keys():
        raise ValueError(f"the price of `{model}` needs `input` and `output`")
    for kind, amount in price.items():
        if not 0 <= _dollars(amount) <= 1_000_000:
            raise ValueError(f"the `{kind}` price of `{model}` is not a number of dollars from 0 to 1000000")


class Costs(Section):
    """Counting money."""

    unknown_model: Literal["refuse", "free", "price"] = "refuse"
    """A model without a known price: refused, charged nothing and recorded so, or charged `default_price`."""
    default_price: ModelPrice | None = None
    """Dollars per million tokens of a model without a known price; choose it dear, a budget gives back what was too much."""
    overrides: dict[str, ModelPrice] = Field(default_factory=dict)
    """Model -> dollars per million tokens, in place of the price library's; of tools that the provider runs, a call."""

    @field_validator("overrides")
    @classmethod
    def _are_prices(cls, value: dict[str, ModelPrice]) -> dict[str, ModelPrice]:
        for model, price in value.items():
            _check_price(model, price)
        return value

    @model_validator(mode="after")
    def _has_its_price(self) -> Self:
        if self.unknown_model == "price" and self.default_price is None:
            raise ValueError("`unknown_model` is `price`, which needs a `default_price`")
        if self.default_price is not None:
            _check_price("default_price", self.default_price)
            if not any(_dollars(amount) for amount in self.default_price.values()):
                raise ValueError("a `default_price` of nothing is what `unknown_model: free` says")
        return self


def _dollars(amount: str | float) -> float:
    try:
        return float(amount)
    except ValueError:
        return math.nan


class Processing(Section):
    """What is worked out about a call."""

    tokens: Tokens = Tokens()
    """Counting tokens."""
    costs: Costs = Costs()
    """Counting money."""
    content: Annotated[dict[str, Any], only({}, "content detectors are")] = Field(default_factory=dict)
    """Detectors of personal data, secrets and injection; not in this version."""


SIX_MONTHS_DAYS = 180


def _is_schedule(text: str) -> str:
    parse(text)
    return text


def _is_archive(text: str) -> str:
    archive_address(text)
    return text


class LegalHold(Section):
    """Calls that are kept whatever their age, and users who cannot be forgotten; what is left out means any."""

    reason: str = Field(min_length=1, max_length=200)
    """Why: a case, a ticket."""
    user: str | None = None
    """Of this user."""
    team: str | None = None
    """Of this team."""
    since: datetime.date | None = None
    """From this day on, UTC."""
    until: datetime.date | None = None
    """Before this day, UTC."""


class Retention(Section):
    """How long evidence is kept; null is for ever."""

    days: Count | None = None
    """Leaves, and what was said with them; from the front of the log only, what is kept longest keeps what came after."""
    by_verdict: dict[Literal["allow", "deny"], Count] = Field(default_factory=dict)
    """Verdict -> days, for calls let through or refused, in place of `days`."""
    content_days: Count | None = None
    """Prompts and answers, if they are to go before their leaves."""
    max_records: Count | None = None
    """The most leaves in a log, whatever their age."""
    allow_short: bool = False
    """Whether leaves may be kept for less than 180 days: the EU AI Act, articles 19 and 26, asks for six months."""
    legal_hold: list[LegalHold] = Field(default_factory=list)
    """What is kept whatever else is said here."""
    schedule: Annotated[str, AfterValidator(_is_schedule)] | None = "0 3 * * *"
    """When a running gateway prunes: cron's five fields, in UTC; null: never, only `jupiter evidence prune` does."""

    @model_validator(mode="after")
    def _is_long_enough(self) -> Self:
        for days in (self.days, *self.by_verdict.values()):
            if days is not None and days < SIX_MONTHS_DAYS and not self.allow_short:
                raise ValueError(
                    f"{days} days are less than the 180 that are asked of many; `allow_short` says that it is meant"
                )
        return self


def _is_witness(text: str) -> str:
    parse_cosigner(text)
    return text


def _is_prefix(text: str) -> str:
    if not _is_plain(text):
        raise ValueError("the address of a witness is written like https://witness.example/prefix")
    return text


def _is_authority(text: str) -> str:
    if not _is_plain(text):
        raise ValueError("the address of a time-stamping authority is written like https://tsa.example/tsr")
    return text


def _is_plain(text: str) -> bool:
    """Whether it is an address of HTTP, with nothing but a path behind the server."""
    parts = urlsplit(text)
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and plain


class Witness(Section):
    """Somebody who remembers how far each log has come, and says so by a signature (C2SP tlog-witness)."""

    key: Annotated[str, AfterValidator(_is_witness)]
    """Its name and public key, `name+id+base64`, as `jupiter evidence witness keys` prints them there."""
    url: Annotated[str, AfterValidator(_is_prefix)]
    """The prefix of its addresses; it is told the name, size and root of each log, and nothing else."""


class Timestamps(Section):
    """A time-stamping authority (RFC 3161), which says by its own clock how far each log had come; the extra `timestamps`."""

    url: Annotated[str, AfterValidator(_is_authority)]
    """Its address; it is told a hash, and nothing else."""
    ca_file: Path
    """Who vouches for it: certificates in PEM, without which none of its timestamps is believed."""
    every: Timeout = 600.0
    """How often the newest checkpoint of each log is stamped; each is about 10 KB, and kept."""


class Evidence(Section):
    """The signed record."""

    url: Annotated[str, Field(pattern=r"^(sqlite:.+|postgresql://.+)")] | None = None
    """Where the log is kept: `sqlite:` and a path, or `postgresql://…` (the extra `postgres`), which several instances can
    share; default `<state_dir>/evidence.db`."""
    spool: Annotated[Size, Field(ge=1024**2)] = 256 * 1024**2
    """How much each worker keeps in `<state_dir>/spool` while PostgreSQL is away; if that is full, calls are refused."""
    archive_url: Annotated[str, AfterValidator(_is_archive)] | None = None
    """Where each log is kept as well, locked: `s3://bucket/prefix?endpoint=…&region=…&retention=180d&mode=compliance` (or
    governance), the extra `s3`; keys come from the environment, as for other AWS clients."""
    archive_after: Timeout = 3600.0
    """How long a leaf waits for the segment of 256 to be full in which it is archived."""
    durability: Literal["strict", "async"] = "strict"
    """strict: a decision is on disk before anything is sent, an outcome before its answer is complete.  async is weaker: both
    need only be queued, and a crash can take up to 4096 leaves, which each leaf says."""
    anchor_path: Path | None = None
    """A directory, better on another disk or host, that keeps how far each log has come; default `<state_dir>/anchors`."""
    witnesses: Annotated[list[Witness], Field(max_length=8)] = Field(default_factory=list)
    """Who is to cosign each log, at most once a second, and never while a call waits."""
    timestamps: Timestamps | None = None
    """Who is to stamp each log, never while a call waits; none by default."""
    heartbeat: Timeout = 60.0
    """How often a leaf is written when nothing happens, so that silence is proved."""
    signing_key_path: Path | None = None
    """The directory of the signing keys; default `<state_dir>/signing`."""
    content: Literal["none", "encrypted"] = "none"
    """Prompts and answers: digests alone, or encrypted under a key of each user, so that one user can be forgotten."""
    content_max: Annotated[Size, Field(le=64 * 1024**2)] = 1024**2
    """The longest body that is kept; of a longer one the record says that it was too large."""
    content_redacted: bool = False
    """Whether bodies are kept in which there is what a redaction of a rule took out."""
    backups_kept: Duration | None = None
    """How long backups of the state directory are kept: an erasure names the day on which the last has gone."""
    retention: Retention = Retention()
    """How long evidence is kept."""

    @field_validator("witnesses")
    @classmethod
    def _are_several(cls, value: list[Witness]) -> list[Witness]:
        if len({one.key for one in value}) != len(value):
            raise ValueError("a witness is named once")
        return value


class PrincipalEntry(Section):
    """What is known of a user."""

    team: str | None = None
    """The team it is a member of."""
    roles: list[str] = Field(default_factory=list)
    """Its roles, for rules to read."""
    attributes: dict[str, Scalar] = Field(default_factory=dict)
    """Anything else that rules read, as `context.user_attributes.*`."""


class Identity(Section):
    """Who may call."""

    keys: Path | None = None
    """The database of Jupiter keys; default `<state_dir>/keys.db`."""
    principals: dict[str, PrincipalEntry] = Field(default_factory=dict)
    """User -> team, roles, attributes."""
    anonymous: Annotated[Literal["deny"], later(allow="callers without a key are not available in this version")] = (
        "deny"
    )
    """What callers without a key get."""
