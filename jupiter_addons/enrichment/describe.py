"""Before the call: what it may take.  After it: what it took.

The hold is an upper bound of the price, the charge the price of what the provider counted, or of our own count where the
provider's is missing.  Both round up, once per line item.
"""

from dataclasses import dataclass, replace
from typing import Literal

from jupiter_addons.dialects.call import Call, Reply, Usage
from jupiter_addons.dialects.spoken import beside, spoken
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.enrichment.tokens import estimate, family_of, length_bytes, upper_bound
from jupiter_addons.units import NanoUsd, cost


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a call before it is made."""

    input_tokens_estimate: int
    input_tokens_upper: int
    output_tokens_max: int
    """The client's own cap, or the configured one, times the number of answers asked for."""
    cost_estimate: tuple[NanoUsd, NanoUsd]
    """Of the estimated input, and of the whole output cap."""
    hold_nusd: NanoUsd
    turns: int
    """Messages from the user."""
    unread: bool = False
    """Whether there is something in it that nobody here can read, and so not estimate either."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call took."""

    nusd: NanoUsd
    usage: Usage
    source: Literal["provider", "estimate"]


def describe(call: Call, price: Price | None, body_bytes: int, default_max_output_tokens: int) -> Profile:
    """Return the profile of a call whose body is `body_bytes` long.  Without a price, its costs are zero."""
    family = family_of(call.model)
    text_bytes = sum(map(length_bytes, spoken(call))) + sum(length_bytes(text) for _, text in beside(call))
    likely = estimate(text_bytes, len(call.messages), family)
    upper = max(likely, upper_bound(body_bytes, call.messages, family))
    out = (call.max_tokens or default_max_output_tokens) * call.n
    if price is None:
        into_cost = out_cost = hold = NanoUsd(0)
    else:
        into_cost, out_cost = cost(likely, price.input), cost(out, price.output)
        hold = NanoUsd(cost(upper, max(price.input, price.cache_write)) + out_cost)
    return Profile(
        input_tokens_estimate=likely,
        input_tokens_upper=upper,
        output_tokens_max=out,
        cost_estimate=(into_cost, out_cost),
        hold_nusd=hold,
        turns=sum(message.role == "user" for message in call.messages),
        unread=call.dialect == "passthrough" and bool(call.opaque),
    )


def charge(reply: Reply | None, profile: Profile, price: Price | None) -> Charge:
    """Return what a call took that was sent.

    The provider's usage counts if it gave one.  Otherwise the estimated input and the tokens of what it answered: a request
    that was sent may be billed, answered or not.  Of a stream that broke off the larger output counts: Anthropic's first
    event already has a usage, of one token.  What nobody here can read counts for what was held for it.  An error answer
    without usage is free: providers do not bill it.
    """
    usage = reply.usage if reply is not None else None
    if usage is not None and reply is not None and reply.complete:
        return Charge(_price(usage, price), usage, "provider")
    if reply is not None and reply.error is not None and not reply.text_bytes:
        return Charge(NanoUsd(0), Usage(0, 0), "estimate")
    answered_bytes = reply.text_bytes if reply is not None else 0
    out = -(-answered_bytes // 3) if reply is None or not reply.unread else profile.output_tokens_max
    own = Usage(profile.input_tokens_upper if profile.unread else profile.input_tokens_estimate, out)
    if usage is not None:  # of a stream that broke off: what had been counted when it began
        own = replace(usage, output_tokens=max(usage.output_tokens, own.output_tokens))
    return Charge(_price(own, price), own, "estimate")


def _price(usage: Usage, price: Price | None) -> NanoUsd:
    if price is None:
        return NanoUsd(0)
    plain = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
    return NanoUsd(
        cost(plain, price.input)
        + cost(usage.cache_read_tokens, price.cache_read)
        + cost(usage.cache_write_tokens, price.cache_write)
        + cost(usage.output_tokens, price.output)
    )
