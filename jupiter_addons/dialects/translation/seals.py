"""Sealed reasoning on a detour through another dialect.

Each provider seals its models' reasoning and wants it back unchanged in the next request.  Where the client's dialect is
another one than the provider's, the seal travels in the client's own place for seals, marked with whose it is, so that
it finds its way back and is never shown to a provider that did not make it.
"""

from jupiter_addons.dialects.translation.conversation import Delta, Seal, Sealer, Thinking

_SEALERS: tuple[Sealer, ...] = ("anthropic", "openai")
_REDACTED = "redacted"


def pack(home: Sealer, thought: Thinking) -> str | None:
    """Return the text for the place that a dialect of `home` has for seals."""
    if thought.seal is None or thought.sealer in (None, home):
        return thought.seal
    return f"{thought.sealer}:{_REDACTED if thought.redacted else thought.id or ''}:{thought.seal}"


def unpack(home: Sealer, text: str, seal: str | None, *, redacted: bool = False, id: str | None = None) -> Thinking:  # noqa: A002 - the field's own name
    """Return the reasoning whose text is `text` and in whose place for seals stands `seal`."""
    if not seal:
        return Thinking(text)
    sealer, first, rest = seal.partition(":")
    note, second, packed = rest.partition(":")
    for other in _SEALERS:
        if first and second and other == sealer != home:
            return Thinking(text, packed, other, note == _REDACTED, None if note == _REDACTED else note or None)
    return Thinking(text, seal, home, redacted, id)


def sealed(thought: Thinking) -> list[Delta]:
    """Return the delta that ends a piece of reasoning, if it has a seal."""
    if thought.seal is None or thought.sealer is None:
        return []
    return [Seal(thought.seal, thought.sealer, thought.redacted, thought.id)]
