"""The words in a body, for somebody who searches it: JSON as its texts, a stream as the texts that its events add up to.

No dialect is known here.  What stands at the same place of one event after the other is taken for pieces of one text, which is
how every provider streams; escapes are read, so that what is found is what was meant and not how it was spelled.
"""

from collections.abc import Iterator
from typing import Any

import orjson


def contains(body: bytes, words: str) -> bool:
    """Whether some text of a body contains words, whatever their case."""
    wanted = words.casefold()
    return any(wanted in text.casefold() for text in texts(body))


def texts(body: bytes) -> list[str]:
    """Return the texts of a body; of one that is neither JSON nor a stream of it, the body itself."""
    found: dict[str, list[str]] = {}
    is_json = False
    for document in _documents(body):
        is_json = True
        for place, text in _strings(document, ""):
            found.setdefault(place, []).append(text)
    return ["".join(pieces) for pieces in found.values()] if is_json else [body.decode("utf-8", "replace")]


def _documents(body: bytes) -> Iterator[Any]:
    """Yield the JSON documents of a body: one, or one a line, each behind `data:` or not."""
    try:
        yield orjson.loads(body)
    except ValueError:
        for line in body.splitlines():
            try:
                yield orjson.loads(line.removeprefix(b"data:").strip())
            except ValueError:
                continue  # an event's name, `[DONE]`, or the end that never came: no words of anybody


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    waiting = [(place, value)]
    while waiting:
        here, entry = waiting.pop()
        match entry:
            case str():
                yield here, entry
            case dict():
                waiting += [(f"{here}.{name}", member) for name, member in entry.items()]
            case list():
                waiting += [(f"{here}[{number}]", member) for number, member in enumerate(entry)]
