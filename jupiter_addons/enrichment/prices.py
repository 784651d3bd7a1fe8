"""What a token costs, and how many a model takes: the price library's snapshot, and the operator's own prices before it.

Prices are integers, nano-dollars per million tokens.  Where a price has tiers (long contexts cost more), the dearest one
is *held*: a budget that turns out too cautious gives money back, one that turns out too bold cannot.  What is *charged* is the
tier that the call turned out to be in.  A price that changes on a date, or by the hour, is the one of now.
"""

import datetime
import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from typing import Any

from jupiter_addons.dialects.call import Call
from jupiter_addons.units import NANO_PER_USD, NanoUsd, NanoUsdPerMillion

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
    cache_write_1h: NanoUsdPerMillion | None = None
    """Of what is written to a cache for an hour; None: as for any other time."""
    tiers: tuple[tuple[int, "Price"], ...] = ()
    """If the price depends on how long the input is: from more than so many tokens on, it is this.  What stands above is the
    dearest then."""
    per_call: tuple[tuple[str, NanoUsd], ...] = ()
    """Tool that the provider runs -> what each call of it costs; one that is not here has no known fee (`fees`)."""

    def for_input(self, tokens: int) -> "Price":
        """Return the price of a call with so many tokens of input."""
        return next((price for above, price in reversed(self.tiers) if tokens > above or not above), self)


TOOLS = ("web_search", "file_search", "code_interpreter", "code_execution")
"""What providers run themselves for a fee: how the types of such tools begin, at OpenAI (`web_search_preview`) and at
Anthropic (`web_search_20250305`)."""
_NOTHING = NanoUsdPerMillion(0)
NOT_BILLED = Price(_NOTHING, _NOTHING, _NOTHING, _NOTHING, "not billed")
"""Of what providers give for nothing: counting tokens."""


def dearest(prices: Iterable[Price | None]) -> Price | None:
    """Return a price that is none of the known ones' less, kind by kind; None if none is known."""
    known = [price for price in prices if price is not None]
    if len(known) < 2:
        return known[0] if known else None
    return replace(_highest(known), source=" or ".join(dict.fromkeys(price.source for price in known)))


def _highest(prices: Iterable[Price]) -> Price:
    """Return what each kind costs at most; the source is the first one's."""
    known = list(prices)
    into, out, read, write = (
        NanoUsdPerMillion(max(getattr(price, kind) for price in known))
        for kind in ("input", "output", "cache_read", "cache_write")
    )
    longest = NanoUsdPerMillion(max(price.cache_write_1h or price.cache_write for price in known))
    fees = [dict(price.per_call) for price in known]
    per_call = tuple((tool, max(of[tool] for of in fees)) for tool in fees[0] if all(tool in of for of in fees))
    return Price(into, out, read, write, known[0].source, longest if longest != write else None, per_call=per_call)


def per_million(usd: Decimal | str | float) -> NanoUsdPerMillion:
    """Return a price of `usd` dollars per million tokens, rounded up to a whole nano-dollar."""
    return NanoUsdPerMillion(int((Decimal(str(usd)) * NANO_PER_USD).to_integral_value(ROUND_CEILING)))


def per_call(usd: Decimal | str | float) -> NanoUsd:
    """Return a fee of `usd` dollars for each call, rounded up to a whole nano-dollar."""
    return NanoUsd(int((Decimal(str(usd)) * NANO_PER_USD).to_integral_value(ROUND_CEILING)))


def from_override(entry: Mapping[str, str]) -> Price:
    """Return the price an operator wrote: `input` and `output` in dollars per million tokens, tools in dollars a call."""
    into, out = per_million(entry["input"]), per_million(entry["output"])
    return Price(
        input=into,
        output=out,
        cache_read=per_million(entry["cache_read"]) if "cache_read" in entry else into,
        cache_write=per_million(entry["cache_write"]) if "cache_write" in entry else into,
        source="configuration",
        cache_write_1h=per_million(entry["cache_write_1h"]) if "cache_write_1h" in entry else None,
        per_call=tuple((tool, per_call(entry[tool])) for tool in TOOLS if tool in entry),
    )


type Context = tuple[tuple[str, str], ...]
"""What of a request its price depends on, by the library's names: `service_tier`, `speed`, `processing`."""


def context_of(call: Call) -> Context:
    """Return what of a call its price depends on, beside its length.

    What a client leaves to the provider (`auto`) is priced as the standard: nobody else knows what it will be.
    """
    named = "speed" if call.dialect == "anthropic_messages" else "service_tier"
    value = call.body.get(named)
    return ((named, value),) if isinstance(value, str) and value not in ("auto", "standard") else ()


def catalogue(call: Call) -> str:
    """Return the provider, by the library's naming, whose prices hold for a call."""
    return "anthropic" if call.dialect == "anthropic_messages" else "openai"


_MEDIA_IN, _MEDIA_OUT = ("input_audio_mtok", "input_image_mtok"), ("output_audio_mtok", "output_image_mtok")


class PriceTable:
    """Model -> price.  Built once; looking up never leaves the process."""

    def __init__(
        self,
        overrides: Mapping[str, Mapping[str, str]],
        default: Mapping[str, str] | None = None,
        *,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`default` is what a model costs that nobody has a price for; None leaves it without one."""
        self._now_s = now_s
        import genai_prices.data_snapshot  # a sixth of a second that no other command should wait for

        self._snapshot: Any = genai_prices.data_snapshot.get_snapshot()
        self._source = f"genai-prices {_version()}"
        self._overrides = {model: from_override(entry) for model, entry in overrides.items()}
        self._default = from_override(default) if default is not None else None
        # What the library is asked for takes a walk through its rules; models are few, and asked for again and again.
        self._model = functools.lru_cache(_CACHED)(self._model_of)
        self._known = functools.lru_cache(_CACHED)(self._find)

    def lookup(self, provider: str, model: str, context: Context = (), *, media: bool = False) -> Price | None:
        """Return the price of `model` at a provider of the library's naming (`openai`, `anthropic`), the default, or None.

        `media`: its tokens may be of sound or pictures, and the dearest kind holds for all.
        """
        if (override := self._overrides.get(model)) is not None:
            return override
        if len(model) > MAX_NAME_CHARS:
            return self._default
        context = tuple((name, value[:MAX_NAME_CHARS]) for name, value in context)
        return self._known(provider, model, context, media, int(self._now_s()) // _STEP_S) or self._default

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

    def _find(self, provider: str, model: str, context: Context, media: bool, step: int) -> Price | None:
        found = self._model(provider, model)
        if found is None:
            return None
        now = datetime.datetime.fromtimestamp(step * _STEP_S, datetime.UTC)
        prices = found.get_prices(now, dict(context) or None)
        starts = {0, *(tier.start for kind in _KINDS for tier in getattr(getattr(prices, kind, None), "tiers", ()))}
        tiers = tuple((above, self._at(prices, above)) for above in sorted(starts))
        if media:
            tiers = tuple((above, _of_media(prices, price)) for above, price in tiers)
        dearest = _highest(price for _, price in tiers)
        if dearest.input == 0 and dearest.output == 0:
            return None  # a price of nothing is not a known price
        return dearest if len(tiers) == 1 else replace(dearest, tiers=tiers)

    def _at(self, prices: Any, above: int) -> Price:
        """Return the prices of a call whose input is longer than `above` tokens, and not so long as the next tier's."""
        into, out, read, write, longest = (_of_tier(getattr(prices, kind, None), above) for kind in _KINDS)
        return Price(
            input=per_million(into or 0),
            output=per_million(out or 0),
            cache_read=per_million(read or into or 0),
            cache_write=per_million(write or into or 0),
            source=self._source,
            cache_write_1h=per_million(longest) if longest else None,
            per_call=tuple(
                (tool, per_call(fee / 1000))
                for tool, kind in _FEES.items()
                if (fee := _of_tier(getattr(prices, kind, None), 0)) is not None
            ),
        )


_KINDS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok", "cache_write_1h_mtok")
_FEES: Mapping[str, str] = {"web_search": "web_searches_kcount", "file_search": "storage_searches_kcount"}
"""Tool -> the library's name for what a thousand calls of it cost."""
_STEP_S = 300
"""How long a looked-up price is taken to be that of now."""


def _of_media(prices: Any, price: Price) -> Price:
    """Return a price at which tokens of sound and pictures count as what they may be at most."""
    into, out = (
        max(per_million(_of_tier(getattr(prices, kind, None), 0) or 0) for kind in kinds)
        for kinds in (_MEDIA_IN, _MEDIA_OUT)
    )
    return replace(price, input=max(price.input, into), output=max(price.output, out))


def _of_tier(price: Any, above: int) -> Decimal | None:
    """Return a price in dollars per million, in the tier that begins above so many tokens of input."""
    if price is None:
        return None
    if isinstance(price, (Decimal, int, float)):
        return Decimal(str(price))
    reached = [tier.price for tier in price.tiers if tier.start <= above]
    return Decimal(str(reached[-1] if above and reached else price.base))


def _version() -> str:
    from importlib.metadata import version  # as above

    return version("genai-prices")
