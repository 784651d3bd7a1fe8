"""The configuration keys of `limits`: how much is too much, for whom, and what happens then."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from jupiter_addons.addresses import redis_address
from jupiter_addons.settings.types import Count, Duration, Section
from jupiter_addons.units import NANO_PER_USD, NanoUsd, usd
from jupiter_addons.zones import zone

MOST_USD = 9_000_000
"""A limit in nano-dollars has to be below 2^53."""

Action = Literal["block", "queue", "downgrade", "alert", "shadow"]


def nano_usd(value: Any) -> int:
    """Return nano-dollars for dollars as people write them.  Raises ValueError."""
    try:
        amount = Decimal(str(value)) * NANO_PER_USD if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError("an amount of money is a number of dollars, with at most nine decimals")
    if not 0 < amount <= MOST_USD * NANO_PER_USD:
        raise ValueError(f"an amount of money is more than 0 and at most {MOST_USD} dollars")
    return int(amount)


Usd = Annotated[
    int,
    BeforeValidator(nano_usd, json_schema_input_type=str | float),
    PlainSerializer(lambda amount: usd(NanoUsd(amount)), return_type=str, when_used="json"),
]
"""Nano-dollars, written as dollars."""
Percent = Annotated[int, Field(ge=1, le=100)]
Zone = str


def _known_zone(value: str | None) -> str | None:
    if value is not None and zone(value) is None:
        raise ValueError(f"there is no time zone `{value}`; zones are named like Europe/Berlin")
    return value


class LimitEntry(Section):
    """One limit: a number, or a mapping that says more."""

    limit: Count
    """The most."""
    enforcement: Action | None = None
    """What happens to a call that is too much; null: as `limits.enforcement.action` says."""
    alerts: list[Percent] | None = None
    """Shares in percent of which somebody is told, once in each window; null: as `limits.enforcement.alerts` says."""


class RequestLimit(LimitEntry):
    """A limit on requests."""

    burst: Count | None = None
    """So many at once, then `limit` evenly over its time; null: `limit` in any window of that length."""
    on_store_failure: Literal["deny", "local"] = "deny"
    """While counters cannot be reached: refuse, or admit this process's own share."""


class RunningLimit(LimitEntry):
    """A limit on requests that run at once."""

    on_store_failure: Literal["deny", "local"] = "deny"
    """While counters cannot be reached: refuse, or admit this process's own share."""


class _InTime(LimitEntry):
    window: Literal["rolling", "calendar"] = "rolling"
    """Any window of that length, or calendar hours, days, weeks from Monday, months."""
    zone: Zone | None = None
    """The time zone of the calendar; null: `limits.time_zone`."""

    _zone = field_validator("zone")(_known_zone)


class TokenLimit(_InTime):
    """A limit on tokens."""


class MoneyLimit(_InTime):
    """A limit on money."""

    limit: Usd
    """The most, in dollars."""


class TokenTotal(LimitEntry):
    """A number of tokens that never comes back."""


class MoneyTotal(LimitEntry):
    """An amount of money that never comes back."""

    limit: Usd
    """The most, in dollars."""


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, (dict, LimitEntry)) else {"limit": value}


_SHORT = BeforeValidator(_short)
_Rate = Annotated[RequestLimit | None, _SHORT]
_Running = Annotated[RunningLimit | None, _SHORT]
_Tokens = Annotated[TokenLimit | None, _SHORT]
_Budget = Annotated[MoneyLimit | None, _SHORT]
_TokensEver = Annotated[TokenTotal | None, _SHORT]
_BudgetEver = Annotated[MoneyTotal | None, _SHORT]


class Rates(Section):
    """Limits of one subject: name -> the most, or a mapping that says more; null: no such limit, also if inherited."""

    requests_per_second: _Rate = None
    """Requests in a second."""
    requests_per_minute: _Rate = None
    """Requests in a minute."""
    requests_per_hour: _Rate = None
    """Requests in an hour."""
    requests_per_day: _Rate = None
    """Requests in 24 hours."""
    concurrent_requests: _Running = None
    """Requests that run at once."""
    tokens_per_minute: _Tokens = None
    """Tokens in a minute, input and output together."""
    tokens_per_hour: _Tokens = None
    """Tokens in an hour."""
    tokens_per_day: _Tokens = None
    """Tokens in a day."""
    tokens_per_week: _Tokens = None
    """Tokens in a week."""
    tokens_per_month: _Tokens = None
    """Tokens in 30 days, or in a calendar month."""
    tokens_total: _TokensEver = None
    """Tokens for ever."""
    input_tokens_per_minute: _Tokens = None
    """Tokens of requests in a minute."""
    input_tokens_per_hour: _Tokens = None
    """Tokens of requests in an hour."""
    input_tokens_per_day: _Tokens = None
    """Tokens of requests in a day."""
    output_tokens_per_minute: _Tokens = None
    """Tokens of answers in a minute."""
    output_tokens_per_hour: _Tokens = None
    """Tokens of answers in an hour."""
    output_tokens_per_day: _Tokens = None
    """Tokens of answers in a day."""
    usd_per_hour: _Budget = None
    """Dollars in an hour."""
    usd_per_day: _Budget = None
    """Dollars in a day."""
    usd_per_week: _Budget = None
    """Dollars in a week."""
    usd_per_month: _Budget = None
    """Dollars in 30 days, or in a calendar month."""
    usd_total: _BudgetEver = None
    """Dollars for ever."""

    def given(self) -> dict[str, LimitEntry | None]:
        """Return the limits that are written down, those that take one away included."""
        return {name: getattr(self, name) for name in Rates.model_fields if name in self.model_fields_set}


class TeamRates(Rates):
    """Limits of a team: what its members may do together."""

    each: Rates = Rates()
    """What each of them may do, in place of the default, name by name."""


def _store_url(value: str) -> str:
    if value.startswith(("redis:", "rediss:")):
        redis_address(value)
    elif value != "memory:" and not (value.startswith("sqlite:") and value.removeprefix("sqlite:").strip()):
        raise ValueError("a store of counters is `memory:`, `sqlite:` and a path, or `redis://host:6379/0`")
    return value


def _without_secret(value: str | None) -> str | None:
    if value is None or not value.startswith(("redis:", "rediss:")):
        return value
    return str(redis_address(value))


class LimitStorage(Section):
    """Where counters are kept."""

    url: Annotated[
        str | None,
        AfterValidator(lambda url: None if url is None else _store_url(url)),
        PlainSerializer(_without_secret),
    ] = Field(default=None, repr=False)
    """`sqlite:` and a path, for the workers of one host; `redis://` or `rediss://`, for several hosts; `memory:`, for one
    worker, and until it ends.  Null: `sqlite:<state_dir>/limits.db`."""


class Enforcement(Section):
    """What happens to a call that is too much, unless its limit says otherwise."""

    action: Action = "block"
    """It is refused (`block`), waits (`queue`), is asked of a lesser model (`downgrade`), passes and somebody is told
    (`alert`), or passes and the record says so (`shadow`)."""
    alerts: list[Percent] = Field(default_factory=list)
    """Shares in percent of which somebody is told, once in each window."""
    alert_webhook: str | None = None
    """Where they are told; null: in the log alone."""
    queue_depth: Count = 100
    """The most calls that wait for one limit."""
    queue_timeout: Duration = 30.0
    """The longest that one waits."""
    wait_for_held: Duration = 5.0
    """How long a call that is refused (`block`, `downgrade`) waits before it is, if it would fit under its limits once what
    running calls hold, and may not need, comes back; 0: it is refused at once."""
    model_downgrades: dict[str, str] = Field(default_factory=dict)
    """Model -> the lesser one that is asked instead."""

    @field_validator("model_downgrades")
    @classmethod
    def _end(cls, value: dict[str, str]) -> dict[str, str]:
        for first in value:
            model, seen = first, {first}
            while (model := value.get(model, "")) and model not in seen:
                seen.add(model)
            if model:
                raise ValueError(f"the downgrades of `{first}` lead back to `{model}`")
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("a webhook starts with https:// or http://")
        return value


class Limits(Section):
    """How much is too much."""

    storage: LimitStorage = LimitStorage()
    """Where counters are kept."""
    time_zone: Zone = "UTC"
    """The zone of calendar periods, unless a limit has its own."""
    enforcement: Enforcement = Enforcement()
    """What happens to a call that is too much, unless its limit says otherwise."""
    default: Rates = Rates(requests_per_minute=RequestLimit(limit=600))
    """For each user."""
    by_user: dict[str, Rates] = Field(default_factory=dict)
    """User -> what replaces what is inherited from the default and the team's `each`, name by name."""
    by_key: dict[Annotated[str, Field(pattern=r"^[a-z0-9]{12}$")], Rates] = Field(default_factory=dict)
    """Id of a key -> what may be done with it."""
    by_team: dict[str, TeamRates] = Field(default_factory=dict)
    """Team -> what its members may do together, and each of them."""
    by_organisation: dict[str, Rates] = Field(default_factory=dict)
    """Organisation (the attribute `organisation` of principals) -> what its members may do together."""
    by_model: dict[str, Rates] = Field(default_factory=dict)
    """Model -> what all may ask of it together."""
    by_provider: dict[str, Rates] = Field(default_factory=dict)
    """Provider -> what it is asked at most."""
    overall: Rates = Field(default=Rates(), alias="global")
    """What all may do together."""

    _zone = field_validator("time_zone")(_known_zone)

    @model_validator(mode="after")
    def _can_downgrade(self) -> Self:
        actions = {self.enforcement.action, *(entry.enforcement for entry in self.entries())}
        if "downgrade" in actions and not self.enforcement.model_downgrades:
            raise ValueError("a limit downgrades, and `limits.enforcement.model_downgrades` names no model")
        return self

    def entries(self) -> list[LimitEntry]:
        """Return every limit that is set."""
        tables = (self.by_user, self.by_key, self.by_team, self.by_organisation, self.by_model, self.by_provider)
        rates = [self.default, self.overall, *(one for table in tables for one in table.values())]
        rates += [team.each for team in self.by_team.values()]
        return [entry for one in rates for entry in one.given().values() if entry is not None]
