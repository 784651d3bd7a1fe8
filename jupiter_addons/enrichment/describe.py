"""Before the call: what it may take.

The hold is an upper bound of the price, and rounds up, once per line item; what the call took is for `charges`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from jupiter_addons.dialects.call import Call, Json
from jupiter_addons.dialects.density import prose_bytes
from jupiter_addons.dialects.parts import parts
from jupiter_addons.dialects.spoken import beside, spoken
from jupiter_addons.enrichment.fees import Offer, fees_held, offers
from jupiter_addons.enrichment.prices import Price
from jupiter_addons.enrichment.tokens import estimate, family_of, length_bytes, thinks_unseen, upper_bound
from jupiter_addons.units import NanoUsd, cost

IMAGE_TOKENS = 6_000
"""What a picture comes to at most at most models, of which only the address stands in the body."""
DEAR_IMAGE_TOKENS = 50_000
"""The same for models that are cheap by the token and count pictures many times over: `mini` and `nano` of GPT-4o and after."""
FETCHED_TOKENS = 32_000
"""What else only stands at an address, a file or a conversation, is taken to come to.  Nobody can say before it is read;
what it came to is charged all the same."""
_FETCHED = frozenset({"file", "audio", "video"})
_CARRIES = frozenset({"data", "file_data"})


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
    text_bytes: int = 0
    """How long the texts of its messages are."""
    input_tokens_unread: int = 0
    """What nobody here can read of it, and so not estimate either, is taken to come to."""
    thinks_unseen: bool = False
    """Whether its answer may be more than is shown of it."""
    offers: tuple[Offer, ...] = ()
    """The tools it offers whose calls cost something by themselves."""


def describe(call: Call, price: Price | None, body_bytes: int, default_max_output_tokens: int) -> Profile:
    """Return the profile of a call whose body is `body_bytes` long.  Without a price, its costs are zero."""
    family = family_of(call.model)
    said = list(spoken(call))
    dense_bytes = sum(map(prose_bytes, said)) + sum(prose_bytes(text) for _, text in beside(call))
    likely = estimate(dense_bytes, len(call.messages), family)
    besides, unread, drawn_bytes = _beside_text(call)
    upper = max(likely, upper_bound(max(0, body_bytes - drawn_bytes), call.messages, family)) + besides
    out = (call.max_tokens or default_max_output_tokens) * call.n
    if price is None:
        into_cost = out_cost = hold = NanoUsd(0)
    else:
        into_cost, out_cost = cost(likely, price.for_input(likely).input), cost(out, price.output)
        hold = NanoUsd(hold_of(upper, out, price) + fees_held(call, price))
    return Profile(
        input_tokens_estimate=likely,
        input_tokens_upper=upper,
        output_tokens_max=out,
        cost_estimate=(into_cost, out_cost),
        hold_nusd=hold,
        turns=sum(message.role == "user" for message in call.messages),
        text_bytes=sum(map(length_bytes, said)),
        input_tokens_unread=upper - likely if call.opaque else min(unread, upper - likely),
        thinks_unseen=thinks_unseen(call),
        offers=offers(call),
    )


def takes_media(call: Call) -> bool:
    """Whether what it takes may be tokens of sound or of pictures, which cost more than those of text where they are counted
    apart."""
    if call.dialect == "passthrough":
        return True
    modalities = call.body.get("modalities")
    if isinstance(modalities, list) and "audio" in modalities:
        return True
    return not _is_text(call) and any(part["type"] == "audio" for _, of_message in parts(call) for part in of_message)


def hold_of(input_tokens: int, output_tokens: int, price: Price) -> NanoUsd:
    """Return what so many tokens cost at most, however they are cached."""
    dearest = max(price.input, price.cache_write, price.cache_write_1h or price.input)
    return NanoUsd(cost(input_tokens, dearest) + cost(output_tokens, price.output))


def _beside_text(call: Call) -> tuple[int, int, int]:
    """Return how many tokens the model will read that are no text of the body, how many are no text, and how many bytes of
    the body are pictures.

    A picture costs by its size, of which the length of its file says nothing.
    """
    if call.opaque and call.dialect == "openai_responses":
        return FETCHED_TOKENS, FETCHED_TOKENS, 0
    if _is_text(call):
        return 0, 0, 0
    each = DEAR_IMAGE_TOKENS if any(mark in call.model for mark in ("mini", "nano")) else IMAGE_TOKENS
    besides = unread = drawn_bytes = 0
    for _, of_message in parts(call):
        for part in of_message:
            if part["type"] == "image":
                besides += each
                unread += each
                drawn_bytes += _inline_bytes(part)
            elif part["type"] in _FETCHED:
                unread += FETCHED_TOKENS
                besides += 0 if _inline_bytes(part) else FETCHED_TOKENS
    return besides, unread, drawn_bytes


def _is_text(call: Call) -> bool:
    """Whether it is seen at a glance that there is only text: one part can be a picture, or hold many."""
    listed = call.body.get("messages")
    return (
        isinstance(listed, list)
        and not call.dialect.startswith("ollama")
        and all(isinstance(message, Mapping) and isinstance(message.get("content"), str) for message in listed)
    )


def _inline_bytes(part: Mapping[str, Json]) -> int:
    """Return how long what a part carries with it is; 0 if it only says where that is."""
    holders = [part, *(value for value in part.values() if isinstance(value, Mapping))]
    return sum(
        len(value)
        for holder in holders
        for name, value in holder.items()
        if isinstance(value, str) and (name in _CARRIES or value.startswith("data:"))
    )
