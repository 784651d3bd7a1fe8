"""Fees for each call of a tool that the provider runs itself, beside tokens: searching the web or files, running code.

Offered is not called: what may be called is held, at the most that the request lets be called, and what was called is charged,
as the answer names it.  A tool whose fee nobody here knows cannot be budgeted.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jupiter_addons.dialects.call import Call, Reply
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.enrichment.prices import TOOLS, Price
from jupiter_addons.units import NanoUsd

USUAL_CALLS = 10
"""Taken to be the most that a tool is called for one answer where the request does not say."""


class Offer(NamedTuple):
    """A tool with a fee that a call offers."""

    tool: str
    """One of `prices.TOOLS`."""
    most: int
    """How often it may be called."""
    always: bool = False
    """Whether it is called for every answer, which does not say so: models of chat completions that search."""


def offers(call: Call) -> tuple[Offer, ...]:
    """Return the tools with fees that a call offers, each kind once."""
    found: dict[str, Offer] = {}
    for offer in _offers(call):
        before = found.get(offer.tool)
        found[offer.tool] = offer if before is None else offer._replace(most=before.most + offer.most)
    return tuple(found.values())


def fees_held(call: Call, price: Price) -> NanoUsd:
    """Return what the tools of a call may cost at most; those without a known fee, nothing."""
    known = dict(price.per_call)
    return NanoUsd(sum(offer.most * known.get(offer.tool, 0) for offer in offers(call)))


def fees(reply: Reply, offered: Sequence[Offer], price: Price | None) -> NanoUsd:
    """Return what the tools cost that an answer has called, of those with fees that were offered.

    A tool of the client's own that has the name of one of these counts as well, where that one is offered too.
    """
    if price is None or not offered:
        return NanoUsd(0)
    known = dict(price.per_call)
    return NanoUsd(sum(_calls(offer, reply) * known.get(offer.tool, 0) for offer in offered))


def unpriced(call: Call, price: Price) -> str | None:
    """Return a tool with a fee that nobody knows, if a call offers one; None also if nothing of the call is billed."""
    if not price.input and not price.output:
        return None
    known = dict(price.per_call)
    return next((offer.tool for offer in offers(call) if offer.tool not in known), None)


def _calls(offer: Offer, reply: Reply) -> int:
    if reply.unread and reply.usage is None:
        return offer.most  # as its tokens are charged: at what was held
    named = sum(name == offer.tool or name.endswith(f"_{offer.tool}") for name in reply.tool_calls)
    return max(named, 1) if offer.always else named


def _offers(call: Call) -> Iterator[Offer]:
    if "web_search_options" in call.body:
        yield Offer("web_search", 1, always=True)
    of_all = call.body.get("max_tool_calls")
    for given in map(mapping, items(call.body.get("tools"))):
        kind = given.get("type")
        tool = next((tool for tool in TOOLS if isinstance(kind, str) and kind.startswith(tool)), None)
        if tool is not None:
            yield Offer(tool, min(_counts(given.get("max_uses"), of_all), default=USUAL_CALLS))


def _counts(*values: object) -> list[int]:
    return [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value >= 0]
