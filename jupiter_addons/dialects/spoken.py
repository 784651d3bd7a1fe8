"""What is said in a call, as rules and detectors read it: all that a redaction would look at, and what it cannot reach.

A call is parsed for what is acted on; a rule that denies has to see what a *model* reads.  So the text of a message is taken
from the places of its words (`places`), whatever its parts are called, and the objects that tools are given are read with the
names in them.  Text that is itself JSON is read a second time without its escapes: `\\u0040` is an @ to whoever parses it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from jupiter_addons.dialects.call import Call, DialectName, Json, JsonObject
from jupiter_addons.dialects.places import NO_TEXT, Turn, answer, event, strings, turns
from jupiter_addons.dialects.splice import Path
from jupiter_addons.dialects.sse import Frame, is_done
from jupiter_addons.dialects.strict import read_answer

_PLAIN = frozenset({"role", "content"})
_NAMED_BY_OTHERS = frozenset({"input", "arguments"})
"""Objects whose members a model or a client has named."""
_BESIDE: Mapping[str, str] = {
    "tools": "developer",
    "functions": "developer",
    "response_format": "developer",
    "mcp_servers": "developer",
    "prediction": "assistant",
}
"""What a model reads beside the messages, and as whose word it counts."""
_PASSED_TURNS = frozenset({"model", "instructions", "prompt", "input"})
"""The members of what is passed on that are messages, or name who reads them."""
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
"""A string in a JSON text, its quotes included."""
_HIDING = ("\\u", "\\/")
_MOST_COMPARED = 1000
"""So many texts of an answer are looked for in what was read of it; of one with more, all are taken."""


def spoken(call: Call) -> list[str]:
    """Return the text of each message of a call."""
    listed = call.body.get("messages")
    if isinstance(listed, list) and len(listed) == len(call.messages) and all(map(_is_plain, listed)):
        return [message.text for message in call.messages]
    found = turns(call.dialect, call.body)
    if len(found) != len(call.messages):  # no places are known of this dialect
        return [message.text for message in call.messages]
    return ["\n".join(filter(None, _words(call.body, turn))) for turn in found]


def beside(call: Call) -> Iterator[tuple[str, str]]:
    """Yield what a model reads beside the messages, as JSON, and the names that speakers are given: role and text."""
    if call.dialect == "passthrough":  # which member is read by whom is not known: all of them may be
        if rest := {name: value for name, value in call.body.items() if name not in _PASSED_TURNS}:
            yield "user", orjson.dumps(rest).decode()
        return
    for name, role in _BESIDE.items():
        if value := call.body.get(name):
            yield role, orjson.dumps(value).decode()
    listed = call.body.get("messages")
    for message in listed if isinstance(listed, list) else ():
        if isinstance(message, Mapping) and isinstance(said := message.get("name"), str):
            yield str(message.get("role")), said


def unread(dialect: DialectName, body: JsonObject, read: str) -> list[str]:
    """Return what a whole answer says beside `read`: in parts that nobody knows yet, to tools, and behind escapes."""
    found: list[str] = []
    for place in answer(dialect, body):
        found.append(place.text)
        found += unescaped(place.text) if place.is_json else ()
    found += [orjson.dumps(held).decode() for held in _objects(body)]
    return missing(found, read)


def missing(found: list[str], read: str) -> list[str]:
    """Return which of some texts are not in what was read; of very many, all."""
    return [text for text in found if text and (len(found) > _MOST_COMPARED or text not in read)]


class Heard:
    """What a streamed answer says in any place, also in those that its reader does not take for its text."""

    def __init__(self, dialect: DialectName) -> None:
        self._dialect: DialectName = dialect
        self._channels: dict[object, list[str]] = {}
        self._escaped: set[object] = set()

    def read(self, frame: Frame) -> None:
        """Take in an event.  Raises UpstreamError if it cannot be read: whoever reads it otherwise reads something."""
        if frame.data is None or is_done(frame.data):
            return
        chunk = read_answer(frame.data)
        for place in event(self._dialect, chunk):
            self._channels.setdefault(place.channel, []).append(place.text)
            if place.is_json:
                self._escaped.add(place.channel)

    def texts(self) -> list[str]:
        """Return what was said, one text a channel; JSON once more without its escapes."""
        found: list[str] = []
        for channel, pieces in self._channels.items():
            text = "".join(pieces)
            found.append(text)
            found += unescaped(text) if channel in self._escaped else ()
        return found


def offered(call: Call) -> list[str]:
    """Return every name that a tool offered goes by: those of the call, then those that stand elsewhere in the body.

    A tool that is no function has its name under its own type, and functions were once offered without being tools.
    """
    found = dict.fromkeys(call.tools)
    for name in ("tools", "functions"):
        listed = call.body.get(name)
        for tool in listed if isinstance(listed, list) else ():
            if isinstance(tool, Mapping):
                holders = (tool, *(member for member in tool.values() if isinstance(member, Mapping)))
                found |= dict.fromkeys(said for one in holders if isinstance(said := one.get("name"), str))
    return list(found)


def unescaped(text: str) -> Iterator[str]:
    """Yield the strings in a JSON text whose escapes could hide something, without them."""
    if any(escape in text for escape in _HIDING):
        for token in _STRING.findall(text):
            if any(escape in token for escape in _HIDING) and (found := _read_string(token)) is not None:
                yield found


def _read_string(token: str) -> str | None:
    """Return the text of a JSON string, between its quotes, or None if it is none.  Half a surrogate pair is U+FFFD."""
    try:
        found: str = json.loads(token, strict=False)
    except ValueError:
        return None
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def names(body: Mapping[str, Any], turn: Turn) -> list[str]:
    """Return the names of members, in a message, that a model or a client has chosen."""
    found: list[str] = []
    rest = list(_objects(_held(body, turn)))
    while rest:
        value = rest.pop()
        if isinstance(value, Mapping):
            found += value
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    return found


def _is_plain(message: Json) -> bool:
    return isinstance(message, Mapping) and message.keys() <= _PLAIN and isinstance(message["content"], str)


def _words(body: Mapping[str, Any], turn: Turn) -> Iterator[str]:
    """Yield the texts of a message, then the objects in it that tools are given."""
    depth = len(_holder(turn))
    for place in turn.places:
        if _NAMED_BY_OTHERS.isdisjoint(place.path[depth:-1]):
            yield place.text
            if place.is_json:
                yield from unescaped(place.text)
    for held in _objects(_held(body, turn)):
        text = orjson.dumps(held).decode()
        yield text
        if "\\" in text:
            yield from (
                string for _, string in strings(held) if "\\" in string or '"' in string or not string.isprintable()
            )


def _holder(turn: Turn) -> Path:
    """Return where a message stands, or the text that is one."""
    return turn.content[:-1] if len(turn.content) > 2 else turn.content


def _held(body: Mapping[str, Any], turn: Turn) -> Json:
    value: Any = body
    for step in _holder(turn):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):  # a prompt may be left out
            return None
    found: Json = value
    return found


def _objects(value: Json) -> Iterator[Json]:
    if isinstance(value, list):
        for element in value:
            yield from _objects(element)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if name in _NAMED_BY_OTHERS and isinstance(member, (Mapping, list)):
                yield member
            elif name not in NO_TEXT:
                yield from _objects(member)
