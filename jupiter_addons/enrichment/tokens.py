"""How many tokens a text may be, without any tokenizer.

Two figures with different duties.  The *estimate* is what policies and people read, and what is charged where the provider
does not say: it goes by how dense a text is (`dialects.density`), because other scripts and base64 would pass at a third of
what they are.  The *upper bound* is what limits reserve, and must hold for every text: the tokenizers in use are byte-level
BPE, whose vocabulary contains every single byte, so a text never becomes more tokens than it has bytes in UTF-8 (Sennrich et
al. 2016; Radford et al. 2019, section 2.2).  What the provider's chat template adds is bounded per message.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jupiter_addons.dialects.call import Call, Message


@dataclass(frozen=True, slots=True)
class Family:
    """How a family of models splits text.  `bytes_per_token` is for English prose; code and other scripts are denser."""

    prefix: str
    bytes_per_token: float
    message_tokens: int
    """Added by the chat template for each message, at most."""


# Bytes per token: OpenAI's tokenizer page gives about four characters of English a token; Anthropic's glossary about 3.5.
FAMILIES = (
    Family("claude", 3.5, 8),
    Family("gpt", 4.0, 8),
    Family("o1", 4.0, 8),
    Family("o3", 4.0, 8),
    Family("o4", 4.0, 8),
)
OTHER = Family("", 3.5, 16)
REPLY_TOKENS = 16
"""Added once: the start of the answer, and a system preamble a template may insert."""


def family_of(model: str) -> Family:
    """Return the family a model belongs to by the start of its name."""
    for family in FAMILIES:
        if model.startswith(family.prefix):
            return family
    return OTHER


_THINKING = ("o1", "o3", "o4", "gpt-5")
"""How the names of models begin that think before they answer, and do not show it."""
_NOT_THINKING = "gpt-5-chat"


def thinks_unseen(call: Call) -> bool:
    """Whether a call may be answered by more than is shown: by its model's name, or because it says how hard to think."""
    if isinstance(thinking := call.body.get("thinking"), Mapping):
        return thinking.get("type") != "disabled"
    reasoning = call.body.get("reasoning")
    asked = reasoning.get("effort") if isinstance(reasoning, Mapping) else call.body.get("reasoning_effort")
    if asked is not None:
        return asked != "none"
    return call.model.startswith(_THINKING) and not call.model.startswith(_NOT_THINKING)


def length_bytes(text: str) -> int:
    """Return the length of `text` in UTF-8; ASCII, the common case, is not encoded to find out."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def estimate(prose_bytes: int, messages: int, family: Family) -> int:
    """Return the likely number of tokens of texts that are as dense as so many bytes of English prose."""
    return int(prose_bytes / family.bytes_per_token) + 4 * messages + 1


def upper_bound(body_bytes: int, messages: Sequence[Message], family: Family) -> int:
    """Return a number of tokens that a request of `body_bytes` cannot exceed.

    The whole body counts, not just its messages: tools and schemas become tokens too.  JSON escapes only make the body
    longer than the text in it (`\\uXXXX` is six bytes for at most three).  Parts that are not text (images, files) are
    not bounded by their bytes here; a body that carries them inline is far longer than the tokens they cost.
    """
    return body_bytes + family.message_tokens * len(messages) + REPLY_TOKENS
