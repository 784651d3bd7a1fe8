"""What dialects do alike when they read an answer: whole bodies, kept text, sane usage."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Never

import orjson

from jupiter_addons.dialects.call import Reply, Usage
from jupiter_addons.dialects.density import PROSE_BYTES_PER_TOKEN, prose_bytes
from jupiter_addons.dialects.fields import MAX_KEPT_CHARS
from jupiter_addons.dialects.sse import Frame
from jupiter_addons.errors import Refusal, UpstreamError

MAX_TOKENS = 1_000_000_000
"""A provider's count beyond it is not believed."""


WEIGHED_CHARS = 128
"""So much is gathered before it is looked at how dense it is."""
FEW = 8
"""With fewer deltas than that nothing can be said of how long they are."""


class Text:
    """The text of an answer as it grows: kept up to a bound, counted beyond it; or only counted.

    Our own count of its tokens: where deltas are as short as tokens are, there is one in each; otherwise by the text, as dense
    as it is.  Never less than there were deltas: several tokens may come in one, a token never comes in several.
    """

    def __init__(self, *, keep: bool = True) -> None:
        self._most = MAX_KEPT_CHARS if keep else 0
        self._parts: list[str] = []
        self._kept = 0
        self._deltas = self._prose_bytes = self._unweighed_chars = 0
        self._unweighed: list[str] = []
        self.length_bytes = 0

    def add(self, part: object) -> None:
        """Append a delta; anything but text is ignored."""
        if isinstance(part, str) and part:
            self.length_bytes += len(part) if part.isascii() else len(part.encode("utf-8", "replace"))
            self._deltas += 1
            self._unweighed.append(part)
            self._unweighed_chars += len(part)
            if self._unweighed_chars >= WEIGHED_CHARS:
                self._prose_bytes += prose_bytes("".join(self._unweighed))
                self._unweighed_chars = 0
                self._unweighed.clear()
            if self._kept < self._most:
                self._parts.append(part)
                self._kept += len(part)

    @property
    def tokens(self) -> int:
        """How many tokens it is, by our own count."""
        by_text = -(-(self._prose_bytes + prose_bytes("".join(self._unweighed))) // PROSE_BYTES_PER_TOKEN)
        return self._deltas if self._deltas >= FEW and by_text <= 2 * self._deltas else max(self._deltas, by_text)

    def __str__(self) -> str:
        return "".join(self._parts)


class Fold:
    """What an answer has come to so far, in any dialect; each dialect's own fold knows where it stands."""

    def __init__(self, *, keep_text: bool = True) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.usage: Usage | None = None
        self.error: str | None = None
        self.text = Text(keep=keep_text)
        self.tools: list[str] = []
        self.finish: list[str] = []
        """Why it ended, one reason for each of several answers."""

    def reply(self, *, complete: bool) -> Reply:
        """Return it as a reply."""
        return Reply(
            response_id=self.id,
            model=self.model,
            text=str(self.text),
            text_bytes=self.text.length_bytes,
            own_tokens=self.text.tokens,
            tool_calls=tuple(self.tools),
            finish_reasons=tuple(self.finish),
            usage=self.usage,
            complete=complete,
            error=self.error,
        )


def tokens(usage: Mapping[str, Any], name: str) -> int | None:
    """Return a provider's count, or None if it is absent or absurd (negative, a string, beyond a billion)."""
    value = usage.get(name)
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return `value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def whole(status: int, body: bytes, answer: str) -> Mapping[str, Any]:
    """Return the object in a JSON answer; an error answer of any shape is an empty one.

    Raises UpstreamError: a success that cannot be read, or has no list under the key `answer`, cannot be metered, and is
    not passed on.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if status < 300 and not (isinstance(value, dict) and isinstance(value.get(answer), list)):
        raise UpstreamError(Refusal("provider_invalid_response", f"the provider's answer has no `{answer}`"))
    return value if isinstance(value, dict) else {}


def error_reply(answer: Mapping[str, Any], status: int) -> Reply:
    """Return what is known of an error answer: its type, if it says one."""
    fault = answer.get("error")
    kind = mapping(fault).get("type") or mapping(fault).get("code")
    return Reply(complete=True, error=kind[:64] if isinstance(kind, str) else f"http_{status}")


def told(said: Reply, counted: Reply) -> Reply:
    """Return a translated answer: what the client is told, with what the provider says of itself and of what was used."""
    return replace(
        said,
        response_id=counted.response_id or said.response_id,
        model=counted.model or said.model,
        usage=counted.usage,
        complete=said.complete and counted.complete,
        error=counted.error or said.error,
    )


class NoStream:
    """Reads the stream of a dialect that has none."""

    own_tokens = 0

    def __init__(self, *, keep_text: bool = True, ends: bool = False) -> None:
        pass

    def read(self, frame: Frame) -> Never:
        """Refuse it: what cannot be metered is not passed on."""
        raise UpstreamError(Refusal("provider_invalid_response", "the provider streamed what is never streamed"))

    def reply(self) -> Reply:
        """Return that nothing is known."""
        return Reply()

    def ending(self) -> bytes:
        """Return nothing: there is nothing to end."""
        return b""
