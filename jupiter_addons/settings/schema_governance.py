"""The configuration keys of what is decided and kept: `policy`, `processing`, `evidence`, `identity`."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from jupiter_addons.settings.types import Count, Section, later, only

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


type ModelPrice = dict[Literal["input", "output", "cache_read", "cache_write"], str | float]


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
    """Model -> dollars per million tokens, in place of the price library's."""

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


class Retention(Section):
    """How long evidence is kept."""

    days: Annotated[None, only(None, "deleting evidence is")] = None
    """Days; null keeps it for ever, which is all that this version does."""


class Evidence(Section):
    """The signed record."""

    url: Annotated[str, Field(pattern=r"^sqlite:.+")] | None = None
    """Where the log is kept: `sqlite:` and a path; default `<state_dir>/evidence.db`."""
    archive_url: Annotated[None, only(None, "archives are")] = None
    """Where old evidence goes; not in this version."""
    durability: Annotated[Literal["strict"], later(**{"async": "`async` is not available in this version"})] = "strict"
    """A decision is on disk before anything is sent, an outcome before its answer is complete."""
    signing_key_path: Path | None = None
    """The directory of the signing keys; default `<state_dir>/signing`."""
    retention: Retention = Retention()
    """How long evidence is kept."""


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
