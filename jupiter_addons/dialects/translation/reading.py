"""Reading a request for translation: every field is taken, and what was not taken is noted or refused.

The sender's own provider would have understood those fields; another one would not, and must not be asked something else
than the client asked.
"""

from collections.abc import Mapping
from typing import Any, Never

from jupiter_addons.dialects.fields import invalid
from jupiter_addons.errors import Refusal, RequestError

NO_COUNTERPART = "has no counterpart at the provider that would be asked"


def unsupported(path: str, why: str = NO_COUNTERPART) -> Never:
    """Refuse what the provider's dialect cannot say."""
    raise RequestError(Refusal("unsupported_by_provider", f"`{path}` {why}", param=path))


class Fields:
    """One object of a body.  An explicit null is absence."""

    __slots__ = ("_left", "path")

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            invalid(path, "an object")
        self._left: dict[str, Any] = dict(value)
        self.path = path

    def at(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self.path}.{name}" if self.path else name

    def take(self, name: str) -> Any:
        """Return a field of any type, or None."""
        return self._left.pop(name, None)

    def text(self, name: str) -> str | None:
        """Return a string, or None."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, str):
            invalid(self.at(name), "a string")
        return value

    def need(self, name: str) -> str:
        """Return a string that must be there."""
        value = self._left.pop(name, None)
        if not isinstance(value, str):
            invalid(self.at(name), "a string")
        return value

    def flag(self, name: str) -> bool | None:
        """Return a boolean, or None."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, bool):
            invalid(self.at(name), "true or false")
        return value

    def whole(self, name: str) -> int | None:
        """Return a whole number, or None."""
        value = self._left.pop(name, None)
        if value is not None and type(value) is not int:
            invalid(self.at(name), "a whole number")
        return value

    def number(self, name: str) -> float | None:
        """Return a number, or None."""
        value = self._left.pop(name, None)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            invalid(self.at(name), "a number")
        return value

    def object(self, name: str) -> dict[str, Any] | None:
        """Return an object, or None."""
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, dict):
            invalid(self.at(name), "an object")
        return value

    def items(self, name: str) -> list[Any]:
        """Return a list; absent is empty."""
        value = self._left.pop(name, None)
        if value is None:
            return []
        if not isinstance(value, list):
            invalid(self.at(name), "a list")
        return value

    def strings(self, name: str) -> tuple[str, ...]:
        """Return a list of strings, or the one string there may stand in its place."""
        value = self._left.pop(name, None)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            invalid(self.at(name), "a string or a list of strings")
        return tuple(value)

    def within(self, name: str) -> "Fields":
        """Return the fields of an object; absent is empty."""
        value = self._left.pop(name, None)
        return Fields({} if value is None else value, self.at(name))

    def done(self, notes: list[str] | None = None, advice: Mapping[str, str] | None = None) -> None:
        """Note what is left and only advises the provider (`advice`: name -> why that is so); refuse anything else."""
        for name, value in self._left.items():
            if value is None:
                continue
            if advice is not None and notes is not None and name in advice:
                notes.append(f"{self.at(name)}: left out, {advice[name]}")
            else:
                unsupported(self.at(name))
