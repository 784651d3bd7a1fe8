"""The configuration keys of who is asked: `routing`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jupiter_addons.routing.strategies import StrategyName
from jupiter_addons.settings.types import Count, Duration, Label, Name, Section, Share, Timeout

type ModelName = Annotated[str, Field(min_length=1, max_length=128)]


class Sticky(Section):
    """Whom the strategy `sticky` keeps at one provider."""

    by: Literal["user", "key", "session"] = "user"
    """A user, a Jupiter key, or what the header names."""
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] = "x-session-id"
    """The header that names a session; a call without it is kept nowhere."""


class ModelRouting(Section):
    """What holds for some models instead."""

    strategy: StrategyName | None = None
    """How one of several is chosen; null: as for all."""
    order: list[Name] = Field(default_factory=list)
    """The providers of `manual`, first choice first."""
    require: list[Label] = Field(default_factory=list)
    """Tags or a region that a provider must have, besides those required for all."""


class RetryBudget(Section):
    """How many further attempts there may be, over all calls of a process."""

    share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Of the calls of the last ten seconds."""
    floor: Annotated[float, Field(ge=0, le=10_000)] = 10.0
    """So many a second always."""


class Failover(Section):
    """Asking another provider when one fails."""

    max_attempts: Annotated[Count, Field(le=10)] = 3
    """How many times a call is sent at most, the first included."""
    rounds: Annotated[Count, Field(le=10)] = 1
    """How often the providers are gone through, with a random wait after the first time; the official SDKs ask again anyway."""
    max_rest: Duration = 300.0
    """The longest that a model at a provider is left alone because of its `retry-after`; 0: not at all."""
    budget: RetryBudget = RetryBudget()
    """How many further attempts there may be, over all calls."""


class CircuitBreaker(Section):
    """Leaving a model at a provider alone that keeps failing."""

    enabled: bool = True
    """Whether that is done."""
    failures: Count = 5
    """So many failures in a row are enough."""
    error_rate: Share = 0.5
    """So is this share of failures, of `min_requests` at least."""
    min_requests: Count = 20
    """So many calls there must be in the window for their share of failures to count."""
    window: Timeout = 30.0
    """How long the window is."""
    open_for: Timeout = 30.0
    """How long it is left alone the first time; the n-th time in a row n times as long."""
    max_open_for: Timeout = 300.0
    """The longest that it is left alone."""
    successes: Count = 2
    """So many probes in a row must succeed before it is asked as before."""


class Ejection(Section):
    """Asking a provider last that fails much more often than the others."""

    enabled: bool = True
    """Whether that is done."""
    error_rate: Share = 0.2
    """Who fails at this share of its calls, and `factor` times as often as the best one, is asked last."""
    factor: Annotated[float, Field(ge=1, le=1000)] = 3.0
    """So many times as often."""
    min_requests: Count = 20
    """So many calls each must have had in the window of the circuit breaker."""
    eject_for: Timeout = 30.0
    """How long it is asked last, the n-th time n times as long."""
    max_eject_for: Timeout = 300.0
    """The longest."""
    max_ejected: Annotated[float, Field(gt=0, le=0.5)] = 0.5
    """The largest share of a model's providers that are asked last at once."""


class Routing(Section):
    """Which provider is asked."""

    strategy: StrategyName = "weighted"
    """How one of several is chosen."""
    order: list[Name] = Field(default_factory=list)
    """The providers of `manual`, first choice first."""
    require: list[Label] = Field(default_factory=list)
    """Tags or a region that every provider must have to be asked."""
    residency: Label | None = None
    """The attribute of a principal that names a tag or region which a provider must have to be asked for it."""
    sticky: Sticky = Sticky()
    """Whom the strategy `sticky` keeps at one provider."""
    aliases: dict[ModelName, ModelName] = Field(default_factory=dict)
    """Name -> the model it stands for, or one at a provider (`azure/gpt-4o`)."""
    by_model: dict[ModelName, ModelRouting] = Field(default_factory=dict)
    """Model, or a pattern of models -> what holds for it instead; the first that fits."""
    fallbacks: dict[ModelName, Annotated[list[ModelName], Field(min_length=1, max_length=10)]] = Field(
        default_factory=dict
    )
    """Model, or a pattern of models -> the models to ask in its place, in order, when every provider of it has failed or is
    left alone: {gpt-4o: [claude-sonnet-4, llama3]}.  Only where rules say of it what they say of the one asked for."""
    failover: Failover = Failover()
    """Asking another provider when one fails."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """Leaving alone what keeps failing."""
    ejection: Ejection = Ejection()
    """Asking last what fails more often than the others."""

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        for name, model in self.aliases.items():
            if model in self.aliases:
                raise ValueError(f"alias `{name}` stands for `{model}`, which is an alias itself")
        if self.strategy == "manual" and not self.order:
            raise ValueError("the strategy `manual` needs an `order`")
        for model, entry in self.by_model.items():
            if (entry.strategy or self.strategy) == "manual" and not (entry.order or self.order):
                raise ValueError(f"the strategy of `{model}` is `manual`, which needs an `order`")
        return self
