"""What arrived at the rehearsal provider, as it arrived."""

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Entry:
    """One request.  Times are monotonic seconds."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    arrived_s: float = field(default_factory=time.monotonic)
    sent: bytes = b""
    """Every byte of the answer's body that was written."""
    finished_s: float | None = None
    disconnected_s: float | None = None
    """When the peer was seen to be gone, if it left before the end."""

    def header(self, name: str) -> str | None:
        """Return a header's value, or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)


class Journal:
    """The newest requests, and how many there have been."""

    def __init__(self, keep: int = 10_000) -> None:
        self.entries: deque[Entry] = deque(maxlen=keep)
        self.seen = 0

    def add(self, entry: Entry) -> None:
        """Keep a request."""
        self.seen += 1
        self.entries.append(entry)
