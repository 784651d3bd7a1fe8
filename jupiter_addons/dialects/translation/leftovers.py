"""What only OpenAI's dialects can say, and what becomes of it elsewhere."""

from jupiter_addons.dialects.translation.conversation import Conversation
from jupiter_addons.dialects.translation.reading import unsupported

_NOTED = {
    "store": "nothing is kept at the provider that is asked",
    "metadata": "it labels what OpenAI stores",
    "prompt_cache_key": "caching is the provider's own",
    "prompt_cache_retention": "caching is the provider's own",
}


def refuse(asked: Conversation, names: str) -> None:
    """Refuse the first of these fields, by name, that the client has set."""
    for name in names.split():
        value = getattr(asked, name)
        if not (value is None or value is False or value == () or (name == "n" and value == 1)):
            unsupported(name)


def user(asked: Conversation, notes: list[str]) -> str | None:
    """Return the client's word on its user, and note or refuse the rest of what is OpenAI's alone."""
    for name, value in asked.openai.items():
        if name in _NOTED:
            notes.append(f"{name}: left out, {_NOTED[name]}")
        elif name == "service_tier" and value in ("auto", "default"):
            notes.append("service_tier: left out, capacity is the provider's own")
        elif name != "safety_identifier" or not isinstance(value, str):
            unsupported(name)
    claimed = asked.openai.get("safety_identifier")
    return claimed if asked.user is None and isinstance(claimed, str) else asked.user
