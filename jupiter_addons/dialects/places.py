"""Where the words are: the places of text in requests, answers and stream events.

Whatever text is found in a message counts, named here or not, so that a field of tomorrow is not a hole in a redaction;
left out is what only identifies, describes or encodes (`NO_TEXT`).  Messages are numbered as rules number them: a system
prompt that stands apart is the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jupiter_addons.dialects.call import DialectName, Json, JsonObject
from jupiter_addons.dialects.openai_responses import role_of
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
        "image_url",
        "file_url",
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
BYTES = frozenset({"b64_json", "audio", "partial_image_b64"})
"""Members of what is passed on that hold pictures or sound."""
JSON_TEXT = frozenset({"arguments", "partial_json"})
"""Text that is itself JSON: what is put into it has to be escaped."""
WHOLE = "whole"
"""The channel of texts that an event brings whole: they are pieces of nothing, and end with their event."""
_NAMED_BY_OTHERS = frozenset({"input", "arguments"})
"""Objects whose members a model or a client has named: every text in them counts."""
_OLLAMA_TEXT = ("message", "response", "thinking")
_OF_EVENTS = frozenset({"item_id", "obfuscation", "partial_image_b64"})
"""Members of a responses event that hold no words of anybody."""
_LAST_OF_RESPONSE = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})


@dataclass(frozen=True, slots=True)
class Place:
    """One text and where it stands."""

    path: Path
    text: str
    message: int = 0
    is_json: bool = False
    channel: tuple[object, ...] = ()
    """Of a stream: texts of one channel are pieces of one text."""
    repeats: bool = False
    """Of a stream: the text says again what pieces before it have said."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a request."""

    role: str
    content: Path
    places: tuple[Place, ...]


def turns(dialect: DialectName, body: JsonObject) -> list[Turn]:
    """Return the messages of a request, in the order of `Call.messages`."""
    return [
        Turn(role, content, tuple(Place(p, text, number, p[-1] in JSON_TEXT) for p, text in _texts(path, value)))
        for number, (role, content, path, value) in enumerate(_messages(dialect, body))
    ]


type _Message = tuple[str, Path, Path, Any]
"""Who says it, where its content stands, where the whole message stands, and the message."""


def _messages(dialect: DialectName, body: JsonObject) -> Iterator[_Message]:
    match dialect:
        case "openai_responses":
            yield from _input_items(body)
        case "openai_completions":
            yield from _inputs("prompt", body.get("prompt"))
            yield from _named(("suffix", "user"), body=body)
        case "passthrough":
            yield from _named(("instructions", "system"), body=body)
            for name in ("prompt", "input"):
                if body.get(name) is not None:
                    yield from _passed(name, body[name])
        case "openai_embeddings" | "ollama_embed":
            yield from _inputs("input", body.get("input"))
        case "ollama_generate":
            yield from _named(("system", "system"), ("template", "system"), body=body)
            yield "user", ("prompt",), ("prompt",), body.get("prompt")
            yield from _named(("suffix", "user"), body=body)
        case _:
            if dialect.startswith("anthropic") and body.get("system") is not None:
                yield "system", ("system",), ("system",), body["system"]
            for index, message in enumerate(items(body.get("messages"))):
                path: Path = ("messages", index)
                said = mapping(message)
                if dialect == "ollama_chat":
                    said = {name: value for name, value in said.items() if name != "images"}
                yield str(said.get("role")), (*path, "content"), path, said


def _named(*fields: tuple[str, str], body: JsonObject) -> Iterator[_Message]:
    """Yield texts that are fields of the body by their name and who says them."""
    for name, role in fields:
        if body.get(name):
            yield role, (name,), (name,), body[name]


def _inputs(name: str, value: Any) -> Iterator[_Message]:
    """Yield what a field holds that takes one text or several; token numbers are a text that cannot be read."""
    if not isinstance(value, list) or all(type(item) is int for item in value):
        yield "user", (name,), (name,), value if isinstance(value, str) else None
        return
    for index, item in enumerate(value):
        yield "user", (name, index), (name, index), item if isinstance(item, str) else None


def _passed(name: str, value: Any) -> Iterator[_Message]:
    """Yield what a field holds that takes a text, or several texts or parts of one."""
    for path, item in (
        [((name, i), item) for i, item in enumerate(value)] if isinstance(value, list) else [((name,), value)]
    ):
        yield "user", path, path, item


def _input_items(body: JsonObject) -> Iterator[_Message]:
    if body.get("instructions") is not None:
        yield "system", ("instructions",), ("instructions",), body["instructions"]
    asked = body.get("input")
    if isinstance(asked, str):
        yield "user", ("input",), ("input",), asked
    for index, item in enumerate(items(asked)):
        path: Path = ("input", index)
        content = "output" if "content" not in item and "output" in item else "content"
        yield str(role_of(item)), (*path, content), path, item


def strings(value: Json) -> list[tuple[Path, str]]:
    """Return every text and number in a JSON value, but no names of members."""
    return list(_texts((), value, every=True))


def answer(dialect: DialectName, body: JsonObject) -> list[Place]:
    """Return the places of text in a whole answer; `message` is the number of the choice."""
    match dialect:
        case "anthropic_messages":
            holders: list[tuple[Path, Any]] = [(("content",), body.get("content"))]
        case "openai_responses":
            holders = [(("output",), body.get("output"))]
        case "ollama_chat" | "ollama_generate":
            holders = [((name,), body.get(name)) for name in _OLLAMA_TEXT]
        case "passthrough":
            return [Place(path, text) for path, text in _passed_texts((), body)]
        case _:
            return [
                Place(p, t, number, p[-1] in JSON_TEXT)
                for number, choice in enumerate(items(body.get("choices")))
                for p, t in _texts(("choices", number), choice)
            ]
    return [Place(p, t, 0, p[-1] in JSON_TEXT) for path, value in holders for p, t in _texts(path, value)]


def _passed_texts(path: Path, value: Json) -> Iterator[tuple[Path, str]]:
    """Yield the texts in an answer that is passed on: whatever its objects are called, their texts may be words."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _passed_texts((*path, index), element)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if not (isinstance(member, str) and (name in NO_TEXT or name in BYTES)):
                yield from _passed_texts((*path, name), member)


def token_probabilities(body: JsonObject) -> list[Path]:
    """Return where an answer, or an event of one, spells its text a second time: the tokens beside their probabilities."""
    return list(_probabilities((), body))


def _probabilities(path: Path, value: Json) -> Iterator[Path]:
    if isinstance(value, list):
        for index, element in enumerate(value):
            yield from _probabilities((*path, index), element)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if name == "logprobs" and member:
                yield (*path, name)
            elif name not in _NAMED_BY_OTHERS:
                yield from _probabilities((*path, name), member)


def spelled(chunk: JsonObject) -> list[Place]:
    """Return the tokens in an answer, or in an event of one, beside their probabilities: they say again what the text says."""
    found: list[Place] = []
    for path in token_probabilities(chunk):
        value: Any = chunk
        for step in path:
            value = value[step]
        if path[0] == "choices":
            place = int(path[1])
            number = _number(items(chunk["choices"])[place], "index", place)
        else:
            number = _number(chunk, "output_index", None)
        for within, text in _tokens((), value):
            names = tuple(step for step in within if isinstance(step, str))
            found.append(
                Place((*path, *within), text, 0, channel=(number, "logprobs", chunk.get("type"), *names), repeats=True)
            )
    return found


def _tokens(path: Path, value: Json) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, element in enumerate(value):
            yield from _tokens((*path, index), element)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if name not in ("top_logprobs", "bytes"):  # what else could have stood there, and the token once more
                yield from _tokens((*path, name), member)


def event(dialect: DialectName, chunk: JsonObject) -> list[Place]:
    """Return the places of text in a stream event, each with its channel."""
    match dialect:
        case "anthropic_messages":
            number = _number(chunk, "index", None)
            holders: list[tuple[Path, Any]] = [
                ((name,), chunk.get(name)) for name in ("message", "content_block", "delta") if name in chunk
            ]
            return [_piece(holder, p, t, (number,)) for holder, value in holders for p, t in _texts(holder, value)]
        case "openai_responses":
            return list(_response_event(chunk))
        case "passthrough":
            return [place for place in _response_event(chunk) if place.path[-1] not in BYTES]
        case "ollama_chat" | "ollama_generate":
            found = [(p, t) for name in _OLLAMA_TEXT for p, t in _texts((name,), chunk.get(name))]
            return [
                Place(p, t, 0, channel=(WHOLE, *p) if any(isinstance(step, int) for step in p) else (0, *p))
                for p, t in found
            ]
    return list(_choice_event(chunk))


def _choice_event(chunk: JsonObject) -> Iterator[Place]:
    for position, choice in enumerate(items(chunk.get("choices"))):
        holder = ("choices", position)
        number = _number(choice, "index", position)
        for path, text in _texts(holder, choice):
            yield _piece((*holder, *path[2:3]), path, text, (number, *_indexes(choice, path[2:])))


def _response_event(chunk: JsonObject) -> Iterator[Place]:
    """Yield what a delta adds; every other event repeats texts whole, those at the end all that was said."""
    kind = chunk.get("type")
    if kind == "error":
        return
    if isinstance(kind, str) and kind.endswith(".delta") and isinstance(delta := chunk.get("delta"), str):
        part = _number(chunk, "content_index", _number(chunk, "summary_index", None))
        is_json = kind.endswith("_arguments.delta")
        yield Place(("delta",), delta, 0, is_json, (_number(chunk, "output_index", None), part, kind))
        return
    for name, value in chunk.items():
        if name == "response":
            found = _texts(("response", "output"), mapping(value).get("output"))
        elif name in _OF_EVENTS:
            continue
        else:
            found = _texts((), {name: value})
        for path, text in found:
            yield Place(path, text, 0, path[-1] in JSON_TEXT, (WHOLE, *path), repeats=True)


def closed(dialect: DialectName, chunk: JsonObject) -> frozenset[object] | None:
    """Return the numbers of the choices or blocks that end with an event; None if all do."""
    match dialect:
        case "anthropic_messages":
            match chunk.get("type"):
                case "content_block_stop":
                    return frozenset({_number(chunk, "index", None)})
                case "message_delta" | "message_stop" | "error":
                    return None
            return frozenset()
        case "openai_responses":
            kind = str(chunk.get("type"))
            if kind in _LAST_OF_RESPONSE:
                return None
            return frozenset({WHOLE, _number(chunk, "output_index", None)} if kind.endswith(".done") else {WHOLE})
        case "passthrough":
            ends = str(chunk.get("type")).endswith((".done", ".completed")) or "error" in chunk
            return None if ends else frozenset({WHOLE})
        case "ollama_chat" | "ollama_generate":
            return None if chunk.get("done") is True or "error" in chunk else frozenset({WHOLE})
    if "error" in chunk:
        return None
    return frozenset(
        _number(choice, "index", position)
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
            yield _number(value, "index", step)


def _number(value: Any, name: str, place: int | None) -> int | None:
    """Return the number that an element says it has; its place, if it says none that is a number.

    What texts are told apart by has to be hashable, whatever a provider sends.
    """
    said = mapping(value).get(name)
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
                yield from _texts((*path, name), member, every=every or name in _NAMED_BY_OTHERS)
