"""After the call: what it took.  One table, whatever became of it:

    outcome                                              input                output
    nothing was sent; the connection was refused         0                    0
    turned away: any status from 300 on                  0                    0
    an error event before any text                       0                    0
    a whole answer, or a stream to its end, and usage    the provider's       the provider's
    the same without usage that can be believed          our estimate         our count
      of a model that thinks unseen                      our estimate         our count, and what such
                                                                              a call comes to, as far
                                                                              as it was allowed
    a stream that broke off, was left, or was ended      begun with, or       our count, or the
      by a limit                                         our estimate         provider's if larger
    a whole answer that never came, and for which was    our estimate         what such a call of
      waited; or that could not be read                                       that model comes to
    an attempt that broke as it was sent                 our estimate         0
    what nobody here can read, without usage             beside our estimate, what was held
                                                         what it may be

A provider's count is believed within bounds: no less than the text can be, and no more than four times what the call was
allowed, or than any model takes in.  Tools that the provider runs for a fee (`fees`) are charged as often as they were called.
Earlier attempts of a call that may be billed are charged beside its last one.  All round
up, once per line item.
"""

from dataclasses import dataclass, replace
from typing import Literal

from jupiter_addons.dialects.call import Reply, Usage
from jupiter_addons.enrichment.describe import Profile
from jupiter_addons.enrichment.fees import fees
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.units import NanoUsd, cost

MOST_BYTES_PER_TOKEN = 128
"""No token of a text is longer."""
BEYOND_CAP, FEW_TOKENS = 4, 4096
"""Some servers do not count what a model thinks against its cap; a count beyond so many times the cap, and beyond a few
thousand tokens, is a mistake."""
MOST_INPUT_TOKENS = 2_000_000
"""No model takes in more."""
ERROR_STATUS = 300

Source = Literal["provider", "bounded", "estimate", "none"]
"""Whose count it is: the provider's, the provider's brought within bounds, our own; or there was nothing to count."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call took."""

    nusd: NanoUsd
    usage: Usage
    source: Source
    price: str | None = None
    """Where its price is from, version included; None if it has none."""


NOTHING = Charge(NanoUsd(0), Usage(0, 0), "none")


def charge(
    reply: Reply | None,
    profile: Profile,
    price: Price | None,
    *,
    status: int | None = None,
    waited: bool = False,
    usual_output: int = 0,
) -> Charge:
    """Return what an attempt took that was sent; `reply` is None if nothing of an answer could be read.

    `waited`: an answer was waited for, or came and could not be read; `usual_output` is what it would have come to.
    """
    if status is not None and status >= ERROR_STATUS:
        return NOTHING
    charged = _charge_of_tokens(reply, profile, price, waited=waited, usual_output=usual_output)
    fee = NanoUsd(0) if reply is None else fees(reply, profile.offers, price)
    return replace(charged, nusd=NanoUsd(charged.nusd + fee)) if fee else charged


def _charge_of_tokens(
    reply: Reply | None, profile: Profile, price: Price | None, *, waited: bool, usual_output: int
) -> Charge:
    into = profile.input_tokens_estimate + profile.input_tokens_unread
    if reply is None:
        return _priced(Usage(into, usual_output if waited else 0), price, "estimate")
    if reply.error is not None and not reply.text_bytes:
        return NOTHING
    if reply.usage is None:
        out = profile.output_tokens_max if reply.unread else _own_count(reply, profile, usual_output)
        return _priced(Usage(into, out), price, "estimate")
    believed = _bounded(reply.usage, reply, profile)
    if not reply.complete:  # what had been counted when it began: Anthropic's first event says one token
        out = max(believed.output_tokens, _own_count(reply, profile, usual_output))
        return _priced(replace(believed, output_tokens=out), price, "estimate")
    return _priced(believed, price, "provider" if believed == reply.usage else "bounded")


def together(charges: list[Charge]) -> Charge:
    """Return what several attempts took: all their tokens and money, and whose count the last one's is."""
    *others, last = charges
    if not others:
        return last
    usage = last.usage
    for other in others:
        usage = replace(
            usage,
            input_tokens=usage.input_tokens + other.usage.input_tokens,
            output_tokens=usage.output_tokens + other.usage.output_tokens,
        )
    source: Source = next((one.source for one in reversed(charges) if one.source != "none"), "none")
    priced = " or ".join(dict.fromkeys(one.price for one in charges if one.price is not None))
    return Charge(NanoUsd(sum(one.nusd for one in charges)), usage, source, priced or None)


def price_of(usage: Usage, price: Price | None) -> NanoUsd:
    """Return what some usage costs, in the tier that its input is in."""
    if price is None:
        return NanoUsd(0)
    tier = price.for_input(usage.input_tokens)
    plain = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
    return NanoUsd(
        cost(plain, tier.input)
        + cost(usage.cache_read_tokens, tier.cache_read)
        + cost(max(0, usage.cache_write_tokens - usage.cache_write_1h_tokens), tier.cache_write)
        + cost(usage.cache_write_1h_tokens, tier.cache_write_1h or tier.cache_write)
        + cost(usage.output_tokens, tier.output)
    )


def _own_count(reply: Reply, profile: Profile, usual_output: int) -> int:
    """Return how many tokens an answer is of which nobody has said it."""
    if not profile.thinks_unseen:
        return reply.own_tokens
    return max(reply.own_tokens, min(reply.own_tokens + usual_output, profile.output_tokens_max))


def _bounded(usage: Usage, reply: Reply, profile: Profile) -> Usage:
    least = -(-reply.text_bytes // MOST_BYTES_PER_TOKEN)
    most = max(BEYOND_CAP * profile.output_tokens_max, BEYOND_CAP * reply.own_tokens, FEW_TOKENS)
    out = min(max(usage.output_tokens, least), most)
    least_input = profile.text_bytes // MOST_BYTES_PER_TOKEN
    into = min(max(usage.input_tokens, least_input), max(profile.input_tokens_upper, MOST_INPUT_TOKENS))
    if (into, out) == (usage.input_tokens, usage.output_tokens):
        return usage
    return replace(usage, input_tokens=into, output_tokens=out)


def _priced(usage: Usage, price: Price | None, source: Source) -> Charge:
    return Charge(price_of(usage, price), usage, source, None if price is None else price.source)
