"""Where the words are: the places of text in requests, answers and stream events, and of parameters in requests.

Whatever text is found in a message counts, named here or not, so that a field of tomorrow is not a hole in a redaction;
left out is what only identifies, describes or encodes (`NO_TEXT`).  Messages are numbered as rules number them: a system
prompt that stands apart is the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jupiter_addons.dialects.call import DialectName, Json, JsonObject
from jupiter_addons.dialects.replies import items, mapping
from jupiter_addons.dialects.splice import Path

NO_TEXT = frozenset(
    [
        "type",
        "id",
        "name",
        "role",
        "index",
        "object",
        "tool_use_id",
        "tool_call_id",
        "call_id",
        "file_id",
        "media_type",
        "format",
        "detail",
        "url",
        "file_data",
        "data",
        "signature",
        "encrypted_content",
        "encrypted_index",
        "redacted_thinking",
        "cache_control",
        "created",
        "model",
        "expires_at",
        "status",
        "finish_reason",
        "stop_reason",
        "logprobs",
    ]
)
"""Members of a message, or of a part of it, that hold no words of anybody."""
JSON_TEXT = frozenset({"arguments", "partial_json"})
"""Text that is itself JSON: what is put into it has to be escaped."""


@dataclass(frozen=True, slots=True)
class Place:
    """One text and where it stands."""

    path: Path
    text: str
    message: int = 0
    is_json: bool = False
    channel: tuple[object, ...] = ()
    """Of a stream: texts of one channel are pieces of one text."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a request."""

    role: str
    content: Path
    places: tuple[Place, ...]


def turns(dialect: DialectName, body: JsonObject) -> list[Turn]:
    """Return the messages of a request, in the order of `Call.messages`."""
    found: list[tuple[str, Path, Path, Any]] = []
    if dialect == "anthropic_messages" and body.get("system") is not None:
        found.append(("system", ("system",), ("system",), body["system"]))
    for index, message in enumerate(items(body.get("messages"))):
        path: Path = ("messages", index)
        found.append((str(mapping(message).get("role")), (*path, "content"), path, message))
    return [
        Turn(role, content, tuple(Place(p, text, number, p[-1] in JSON_TEXT) for p, text in _texts(path, value)))
        for number, (role, content, path, value) in enumerate(found)
    ]


def parameter(dialect: DialectName, body: JsonObject, name: str) -> list[Path]:
    """Return where a parameter of a request is set; `name` is the canonical one, dots lead into objects.

    More than one place if the client has set it under more than one name.
    """
    if dialect == "openai_chat" and name == "max_tokens":
        given: list[Path] = [(n,) for n in ("max_completion_tokens", "max_tokens") if body.get(n) is not None]
        return given or [("max_completion_tokens",)]
    if dialect == "anthropic_messages":
        name = {"stop": "stop_sequences", "user": "metadata.user_id"}.get(name, name)
    return [tuple(name.split("."))]


def strings(value: Json) -> list[tuple[Path, str]]:
    """Return every text and number in a JSON value, but no names of members."""
    return list(_texts((), value, every=True))


def answer(dialect: DialectName, body: JsonObject) -> list[Place]:
    """Return the places of text in a whole answer; `message` is the number of the choice."""
    if dialect == "anthropic_messages":
        return [Place(p, t, 0, p[-1] in JSON_TEXT) for p, t in _texts(("content",), body.get("content"))]
    return [
        Place(p, t, number, p[-1] in JSON_TEXT)
        for number, choice in enumerate(items(body.get("choices")))
        for p, t in _texts(("choices", number), choice)
    ]


def token_probabilities(body: JsonObject) -> list[Path]:
    """Return where an answer, or an event of one, spells its text a second time: the tokens beside their probabilities."""
    return [
        ("choices", number, "logprobs")
        for number, choice in enumerate(items(body.get("choices")))
        if mapping(choice).get("logprobs") is not None
    ]


def event(dialect: DialectName, chunk: JsonObject) -> list[Place]:
    """Return the places of text in a stream event, each with its channel."""
    if dialect == "anthropic_messages":
        number = _number(chunk, -1)
        holders: list[tuple[Path, Any]] = [
            ((name,), chunk.get(name)) for name in ("message", "content_block", "delta") if name in chunk
        ]
        return [_piece(holder, p, t, (number,)) for holder, value in holders for p, t in _texts(holder, value)]
    found: list[Place] = []
    for position, choice in enumerate(items(chunk.get("choices"))):
        holder = ("choices", position)
        number = _number(choice, position)
        for path, text in _texts(holder, choice):
            found.append(_piece((*holder, *path[2:3]), path, text, (number, *_indexes(choice, path[2:]))))
    return found


def closed(dialect: DialectName, chunk: JsonObject) -> frozenset[object] | None:
    """Return the numbers of the choices or blocks that end with an event; None if all do."""
    if dialect == "anthropic_messages":
        match chunk.get("type"):
            case "content_block_stop":
                return frozenset({_number(chunk, -1)})
            case "message_delta" | "message_stop" | "error":
                return None
        return frozenset()
    if "error" in chunk:
        return None
    return frozenset(
        _number(choice, position)
        for position, choice in enumerate(items(chunk.get("choices")))
        if mapping(choice).get("finish_reason") is not None
    )


def _piece(holder: Path, path: Path, text: str, numbers: tuple[object, ...]) -> Place:
    names = tuple(step for step in path[len(holder) :] if isinstance(step, str))
    return Place(path, text, 0, path[-1] in JSON_TEXT, (*numbers, *names))


def _indexes(value: Any, path: Path) -> Iterator[object]:
    """Yield the numbers that the elements on a path have: their own `index`, which a stream counts by."""
    for step in path:
        value = value[step]
        if isinstance(step, int):
            yield _number(value, step)


def _number(value: Any, place: int) -> int:
    """Return the number that an element says it has; its place, if it says none that is a number."""
    said = mapping(value).get("index")
    return said if type(said) is int else place


def _texts(path: Path, value: Json, *, every: bool = False) -> Iterator[tuple[Path, str]]:
    """Yield the texts in a value; `every`: whatever its members are called, because a model or a client named them.

    There a number is a text as well: a card number need not be quoted.
    """
    if isinstance(value, str):
        yield path, value
    elif every and isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, repr(value)
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _texts((*path, index), element, every=every)
    elif isinstance(value, Mapping):
        plain = value.get("type") == "text"  # of a source: its data are words
        for name, member in value.items():
            if every or name not in NO_TEXT or (name == "data" and plain and isinstance(member, str)):
                yield from _texts((*path, name), member, every=every or name == "input")
