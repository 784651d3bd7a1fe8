"""What a token costs, and how many a model takes: the price library's snapshot, and the operator's own prices before it.

Prices are integers, nano-dollars per million tokens.  Where a price has tiers (long contexts cost more), the dearest one
holds: a budget that turns out too cautious gives money back, one that turns out too bold cannot.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from jupiter_addons.dialects.call import Call
from jupiter_addons.units import NANO_PER_USD, NanoUsdPerMillion

_CACHED = 4096
"""How many looked-up names are remembered; a client can make up as many as it likes."""
MAX_NAME_CHARS = 256
"""No model has a longer name.  One that has is not looked up, and above all not remembered: it can be as long as a body."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a million tokens of each kind cost."""

    input: NanoUsdPerMillion
    output: NanoUsdPerMillion
    cache_read: NanoUsdPerMillion
    cache_write: NanoUsdPerMillion
    source: str
    """Where the price is from: `genai-prices <version>` or `configuration`."""


_NOTHING = NanoUsdPerMillion(0)
NOT_BILLED = Price(_NOTHING, _NOTHING, _NOTHING, _NOTHING, "not billed")
"""Of what providers give for nothing: counting tokens."""


def dearest(prices: Iterable[Price | None]) -> Price | None:
    """Return a price that is none of the known ones' less, kind by kind; None if none is known."""
    known = [price for price in prices if price is not None]
    if len(known) < 2:
        return known[0] if known else None
    into, out, read, write = (
        NanoUsdPerMillion(max(getattr(price, kind) for price in known))
        for kind in ("input", "output", "cache_read", "cache_write")
    )
    return Price(into, out, read, write, " or ".join(dict.fromkeys(price.source for price in known)))


def per_million(usd: Decimal | str | float) -> NanoUsdPerMillion:
    """Return a price of `usd` dollars per million tokens, rounded up to a whole nano-dollar."""
    return NanoUsdPerMillion(int((Decimal(str(usd)) * NANO_PER_USD).to_integral_value(ROUND_CEILING)))


def from_override(entry: Mapping[str, str]) -> Price:
    """Return the price an operator wrote: `input` and `output` in dollars per million tokens."""
    into, out = per_million(entry["input"]), per_million(entry["output"])
    return Price(
        input=into,
        output=out,
        cache_read=per_million(entry["cache_read"]) if "cache_read" in entry else into,
        cache_write=per_million(entry["cache_write"]) if "cache_write" in entry else into,
        source="configuration",
    )


def catalogue(call: Call) -> str:
    """Return the provider, by the library's naming, whose prices hold for a call."""
    return "anthropic" if call.dialect == "anthropic_messages" else "openai"


_MEDIA_IN, _MEDIA_OUT = ("input_audio_mtok", "input_image_mtok"), ("output_audio_mtok", "output_image_mtok")


class PriceTable:
    """Model -> price.  Built once; looking up never leaves the process."""

    def __init__(self, overrides: Mapping[str, Mapping[str, str]], default: Mapping[str, str] | None = None) -> None:
        """`default` is what a model costs that nobody has a price for; None leaves it without one."""
        import genai_prices.data_snapshot  # a sixth of a second that no other command should wait for

        self._snapshot: Any = genai_prices.data_snapshot.get_snapshot()
        self._source = f"genai-prices {_version()}"
        self._overrides = {model: from_override(entry) for model, entry in overrides.items()}
        self._default = from_override(default) if default is not None else None
        # What the library is asked for takes a walk through its rules; models are few, and asked for again and again.
        self._model = functools.lru_cache(_CACHED)(self._model_of)
        self._known = functools.lru_cache(_CACHED)(self._find)

    def lookup(self, provider: str, model: str, *, media: bool = False) -> Price | None:
        """Return the price of `model` at a provider of the library's naming (`openai`, `anthropic`), the default, or None.

        `media`: its tokens may be of sound or pictures, and the dearest kind holds for all.
        """
        if (override := self._overrides.get(model)) is not None:
            return override
        known = self._known(provider, model, media) if len(model) <= MAX_NAME_CHARS else None
        return known or self._default

    def window(self, provider: str, model: str) -> int | None:
        """Return how many tokens a model takes in and gives out together, or None if the library does not say."""
        if len(model) > MAX_NAME_CHARS:
            return None
        found = self._model(provider, model)
        return found.context_window if found is not None else None

    def names(self, provider: str) -> Iterator[str]:
        """Yield the models the library knows of a provider, and those the operator priced."""
        yield from self._overrides
        for known in self._snapshot.providers:
            if known.id == provider:
                yield from (model.id for model in known.models)

    def _model_of(self, provider: str, model: str) -> Any:
        try:
            return self._snapshot.find_provider_model(model, None, provider, None)[1]
        except LookupError:
            return None

    def _find(self, provider: str, model: str, media: bool) -> Price | None:
        found = self._model(provider, model)
        if found is None:
            return None
        prices = found.prices
        dearest = [prices] if not isinstance(prices, list) else [entry.prices for entry in prices]
        into = max((_dearest(entry.input_mtok) for entry in dearest), default=None)
        out = max((_dearest(entry.output_mtok) for entry in dearest), default=None)
        if media and into is not None and out is not None:
            into = max(into, *(_dearest(getattr(e, name, None)) for e in dearest for name in _MEDIA_IN))
            out = max(out, *(_dearest(getattr(e, name, None)) for e in dearest for name in _MEDIA_OUT))
        if into is None or out is None or (into == 0 and out == 0):
            return None  # a price of nothing is not a known price
        read = max(_dearest(getattr(entry, "cache_read_mtok", None)) for entry in dearest) or into
        write = max(_dearest(getattr(entry, "cache_write_mtok", None)) for entry in dearest) or into
        return Price(per_million(into), per_million(out), per_million(read), per_million(write), self._source)


def _dearest(price: Any) -> Decimal:
    """Return the highest of a price's tiers, in dollars per million."""
    if price is None:
        return Decimal(0)
    if isinstance(price, (Decimal, int, float)):
        return Decimal(str(price))
    return max([Decimal(str(price.base)), *(Decimal(str(tier.price)) for tier in price.tiers)])


def _version() -> str:
    from importlib.metadata import version  # as above

    return version("genai-prices")
