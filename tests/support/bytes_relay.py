"""The relay of a host that is looked at by itself, without stages: bytes pass as they come."""

from typing import Any


class Bytes:
    """See `exchange.Relay` for the contract, as far as the host uses it."""

    begun = is_framed = True
    ending = cut = False

    def feed(self, data: bytes) -> list[bytes]:
        return [data]

    def drain(self) -> None:
        """Nothing is held back."""

    def finish(self) -> list[bytes]:
        return []

    def abort(self, refusal: Any) -> list[bytes]:
        return [b"data: " + refusal.code.encode() + b"\n\n"]
