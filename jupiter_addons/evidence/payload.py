"""What was said, encrypted: kept beside the leaves that commit to it, never in them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sealed:
    """One encrypted body of a call."""

    role: str
    """Which body of the call it is, as in the leaf: request, request_upstream, response, delivered."""
    key_id: str
    """The subject key that opens it, for as long as that is there."""
    ciphertext: bytes = field(repr=False)
