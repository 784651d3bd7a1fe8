"""What is passed on as it came: moderations, audio, images, files, batches, and paths that nobody here knows.

There is no canonical form of these, and no translation: a request goes to a provider that has the same path, an answer comes
back as the bytes received.  It is read as far as it can be, so that rules, limits and detectors see what there is to see: the
members of a JSON body, the fields of a form.  What cannot be read (sound, pictures, files, whatever is at an unknown path) is
named in `Call.opaque`, and nothing is known to be clean of which that is a part.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import orjson

from jupiter_addons.dialects import multipart
from jupiter_addons.dialects.call import Call, Endpoint, Json, JsonObject, Message, Reply, Usage
from jupiter_addons.dialects.fields import integer, invalid
from jupiter_addons.dialects.multipart import Form
from jupiter_addons.dialects.places import BYTES, answer, event, turns
from jupiter_addons.dialects.replies import Text, error_reply, mapping, tokens
from jupiter_addons.dialects.sse import Frame, is_done
from jupiter_addons.dialects.strict import scan
from jupiter_addons.errors import Refusal, RequestError

MAX_PICTURES = 16
"""The most answers to one request; OpenAI's own limit is 10."""
MOST_FILE_TOKENS = 20_000
"""No more tokens than this are made of one recording (25 minutes at ten a second) or picture, however many bytes it has."""
TEXT_ONLY = frozenset({"moderations", "files", "batches"})
"""What generates nothing: there is no output to hold or to pay for."""

_LAST = (".done", ".completed")
"""How the types of events end that close an answer, or one of several."""
_NUMBERS = frozenset({"temperature", "top_p"})
_EMPTY = Refusal("bad_request", "this endpoint takes no body")

Kind = Literal["events", "whole", "raw"]
"""How an answer is passed on: event by event, at once when it has been read, or piece by piece."""


def parse(body: JsonObject) -> Call:
    """Return the call of a JSON body, whichever the endpoint.  Raises RequestError naming the path at fault."""
    model, stream = body.get("model"), body.get("stream")
    if model is not None and (not isinstance(model, str) or not model):
        invalid("model", "a non-empty string")
    if stream is not None and not isinstance(stream, bool):
        invalid("stream", "true or false")
    return _call(body, model or "", n=integer(body, "n", 1, MAX_PICTURES) or 1)


def _call(body: JsonObject, model: str, *, n: int = 1) -> Call:
    user, asked = body.get("user"), body.get("input")
    return Call(
        dialect="passthrough",
        operation="unknown",
        model=model,
        stream=body.get("stream") is True or body.get("stream_format") == "sse",
        messages=tuple(
            Message(turn.role, "\n".join(place.text for place in turn.places)) for turn in turns("passthrough", body)
        ),
        max_tokens=None,
        n=n,
        claimed_user=user if isinstance(user, str) else None,
        tools=(),
        body=body,
        opaque=tuple(
            f"input[{number}]"
            for number, item in enumerate(asked if isinstance(asked, list) else ())
            if not isinstance(item, str) and mapping(item).get("type") != "text"
        ),
    )


def parse_request(endpoint: Endpoint, target: str, content_type: str, body: bytes) -> tuple[Call, int]:
    """Return the call of a request, and how many bytes of text are in it.  Raises RequestError.

    `body` is without its content encoding, and of an unknown endpoint as it came; `content_type` is empty if there is none.
    """
    match endpoint.body:
        case "none":
            if body and body != b"{}":  # SDKs send an empty object with every POST
                raise RequestError(_EMPTY)
            call, length = parse({}), 0
        case "any":
            call, length = _unknown(target, content_type, body)
        case "json":
            call, length = parse(scan(body)), len(body)
        case "form":
            call, length = _parse_form(content_type, body)
        case "json or form":
            is_form = content_type.lower().startswith("multipart/")
            call, length = _parse_form(content_type, body) if is_form else (parse(scan(body)), len(body))
    return replace(
        call, operation=endpoint.operation, max_tokens=1 if endpoint.operation in TEXT_ONLY else None
    ), length


def _parse_form(content_type: str, body: bytes) -> tuple[Call, int]:
    form = multipart.read(content_type, body)
    fields = {name: _value(name, form) for name in form.fields}
    call = replace(
        parse(fields),
        is_json=False,
        files=form.files,
        opaque=tuple(dict.fromkeys(file.field for file in form.files)),
    )
    return call, sum(value.end - value.start for values in form.fields.values() for value in values)


def _value(name: str, form: Form) -> Json:
    """Return a field as the JSON it stands for: forms have no numbers and no booleans of their own."""
    texts = [value.text for value in form.fields[name]]
    if name in form.lists:
        return texts
    text = texts[0]
    match name:
        case "n":
            if not (text.isascii() and text.isdigit() and len(text) < 4):
                invalid("n", f"a whole number from 1 to {MAX_PICTURES}")
            return int(text)
        case "stream":
            if text not in ("true", "false"):
                invalid("stream", "true or false")
            return text == "true"
        case _ if name in _NUMBERS:
            try:
                number = float(text) if text.isascii() and "_" not in text else float("nan")
            except ValueError:
                number = float("nan")
            if not -1e9 < number < 1e9:
                invalid(name, "a number")
            return number
    return text


def _unknown(target: str, content_type: str, body: bytes) -> tuple[Call, int]:
    """Return what can be seen of a request to an unknown path.

    JSON is read, so that rules about models hold; that it has only one reading is asked of it as of any other.  What its
    members mean nobody knows.
    """
    opaque = ("body",) if body else ()
    if "?" in target:
        opaque = (*opaque, "query")
    is_json = body.lstrip()[:1] == b"{" and "json" in (content_type or "json").lower()
    read: JsonObject = scan(body) if is_json else {}
    model = read.get("model")
    call = _call(read, model if isinstance(model, str) else "")
    return replace(call, opaque=opaque, is_json=is_json), len(body)


def is_batch_upload(call: Call) -> bool:
    """Whether a file is uploaded whose lines are calls."""
    return call.operation == "files" and str(call.body.get("purpose", "")).strip().lower() == "batch"


def again(call: Call, body: JsonObject) -> Call:
    """Return a call whose JSON body has been changed by rules.  Raises RequestError."""
    return replace(parse(body), operation=call.operation, max_tokens=call.max_tokens, opaque=call.opaque)


def with_model(content_type: str, body: bytes, model: str) -> bytes:
    """Return a form with another model in it, and nothing else changed.  Raises RequestError if it names none."""
    named = multipart.read(content_type, body).fields.get("model", ())
    if len(named) != 1:
        raise RequestError(Refusal("invalid_value", "the form names no model", param="model"))
    return body[: named[0].start] + model.encode() + body[named[0].end :]


def sized(call: Call, text_bytes: int) -> int:
    """Return the bytes that a call is held for: a file counts for the tokens that can be made of it at most."""
    return text_bytes + sum(min(file.length, MOST_FILE_TOKENS) for file in call.files)


# -- answers --------------------------------------------------------------------------------------------------------------


def kind(endpoint: Endpoint, status: int, media_type: str) -> Kind:
    """Return how an answer is passed on."""
    if not 200 <= status < 300 or status in (204, 205) or endpoint.method == "HEAD":
        return "whole"
    if media_type == "text/event-stream":
        return "events"
    if endpoint.path.endswith("/content"):
        return "raw"
    is_text = media_type.startswith("text/") and endpoint.operation in ("transcriptions", "translations")
    return "whole" if is_text or media_type == "application/json" or media_type.endswith("+json") else "raw"


def reply(status: int, body: bytes) -> Reply:
    """Return what a whole answer says: all texts in a JSON body, or the body if it is text."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if status >= 300:
        return error_reply(mapping(found), status)
    text, unread = Text(), False
    if isinstance(found, (dict, list)):
        places = answer("passthrough", {"": found} if isinstance(found, list) else found)
        for number, place in enumerate(places):
            text.add(f"\n{place.text}" if number else place.text)
        unread = holds_bytes(found)
    else:
        try:
            text.add(body.decode())
        except UnicodeDecodeError:
            unread = True
    said = mapping(found)
    model = said.get("model")
    return Reply(
        response_id=_text(said.get("id")),
        model=_text(model),
        text=str(text),
        text_bytes=text.length_bytes,
        own_tokens=text.tokens,
        usage=_usage(said.get("usage")),
        complete=True,
        unread=unread,
    )


class StreamReader:
    """Folds the events of a stream into a reply.  None is known to be the last: several pictures end one after the other."""

    def __init__(self, *, keep_text: bool = True, ends: bool = False) -> None:
        self._text = Text(keep=keep_text)
        self._usage: Usage | None = None
        self._error: str | None = None
        self._complete = self._unread = False

    def read(self, frame: Frame) -> bool:
        """Take in one event; return that it is not the terminal one."""
        if frame.data is None:
            return False
        if is_done(frame.data):
            self._complete = True
            return False
        try:
            chunk = mapping(orjson.loads(frame.data))
        except orjson.JSONDecodeError:
            chunk = {}
        if not chunk:
            self._unread = True
            return False
        said = str(chunk.get("type"))
        self._complete = self._complete or said.endswith(_LAST)
        if said == "error" or "error" in chunk:
            fault = mapping(chunk.get("error"))
            self._error = _text(fault.get("type")) or _text(fault.get("code")) or "error"
        for place in event("passthrough", chunk):
            if not place.repeats:
                self._text.add(place.text)
        self._unread = self._unread or holds_bytes(chunk)
        if (usage := _usage(chunk.get("usage"))) is not None:
            before = self._usage or Usage(0, 0)
            self._usage = Usage(
                before.input_tokens + usage.input_tokens,
                before.output_tokens + usage.output_tokens,
                before.cache_read_tokens + usage.cache_read_tokens,
            )
        return False

    def reply(self) -> Reply:
        """Return the answer so far."""
        return Reply(
            text=str(self._text),
            text_bytes=self._text.length_bytes,
            own_tokens=self._text.tokens,
            usage=self._usage,
            complete=self._complete and self._error is None,
            error=self._error,
            unread=self._unread,
        )

    @property
    def own_tokens(self) -> int:
        """How many tokens the answer is so far, by our own count."""
        return self._text.tokens

    def ending(self) -> bytes:
        """Return nothing: how such an answer would end early is not known."""
        return b""


def holds_bytes(value: Any) -> bool:
    """Whether something stands in a JSON answer that is not for reading: a picture or sound, in base64."""
    if isinstance(value, Mapping):
        return any(
            (name in BYTES and isinstance(member, str) and bool(member)) or holds_bytes(member)
            for name, member in value.items()
        )
    return isinstance(value, list) and any(map(holds_bytes, value))


def _usage(said: object) -> Usage | None:
    """Return the tokens counted, under either of OpenAI's names; None if something else was (seconds)."""
    counted = mapping(said)
    into = tokens(counted, "input_tokens")
    into = tokens(counted, "prompt_tokens") if into is None else into
    out = tokens(counted, "output_tokens")
    out = tokens(counted, "completion_tokens") if out is None else out
    if into is None and out is None:
        return None
    cached = tokens(mapping(counted.get("input_tokens_details")), "cached_tokens") or 0
    return Usage(into or 0, out or 0, min(cached, into or 0))


def _text(value: object) -> str | None:
    return value[:64] if isinstance(value, str) else None
