"""How far a conversation has come: its turns, and how much of the model's context window it fills."""

from collections.abc import Sequence
from dataclasses import dataclass

from jupiter_addons.dialects.call import JsonObject, Message


@dataclass(frozen=True, slots=True)
class Conversation:
    """The figures behind `processing.conversation_context`."""

    turn_count: int
    """The larger of what the user and the assistant have said, in messages."""
    context_window_usage: int
    """Tokens of the input."""
    context_window_percent: float | None
    """What the input fills of the window: 0 to 1, above 1 if it does not fit, None if the window is not known."""
    total_tokens: int
    """Tokens of the input and the most that may be answered."""

    @property
    def facts(self) -> JsonObject:
        """The same as policies read it."""
        return {
            "turn_count": self.turn_count,
            "context_window_usage": self.context_window_usage,
            "context_window_percent": self.context_window_percent,
            "total_tokens": self.total_tokens,
        }


def conversation(
    messages: Sequence[Message], *, input_tokens: int, output_tokens: int, window_tokens: int | None
) -> Conversation:
    """Return how far a conversation has come.  `window_tokens` is the model's context window, None or 0 if not known."""
    turns = [sum(message.role == role for message in messages) for role in ("user", "assistant")]
    return Conversation(
        turn_count=max(turns),
        context_window_usage=input_tokens,
        context_window_percent=round(input_tokens / window_tokens, 4) if window_tokens else None,
        total_tokens=input_tokens + output_tokens,
    )
