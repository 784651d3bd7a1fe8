"""Forms with files: `multipart/form-data` with one reading, or refused.

RFC 7578 and RFC 2046, section 5.1, without everything that servers read in different ways: no preamble, epilogue or padding; no
boundary that occurs anywhere but where a part ends; no folded, repeated or unknown part header; no escapes, no second file
name, no transfer encoding; no field twice, unless its name says that it is a list (`image[]`); no file under the name of a
field that something is decided by.  The received bytes are what is forwarded.

`Reader` takes bytes in any pieces and keeps of a file nothing but where it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Never

from jupiter_addons.dialects.call import Upload
from jupiter_addons.errors import Refusal, RequestError

MAX_PARTS = 128
MAX_HEAD_BYTES = 2048
MAX_FIELD_BYTES = 1024 * 1024
"""The longest value of a field; a prompt is a field."""
FILES = frozenset({"file", "image", "mask"})
"""The fields that are files, to every endpoint that takes forms."""
SINGLE = frozenset({"model", "prompt", "input", "instructions", "stream", "n", "user", "purpose"})
"""The fields that something is decided by: neither lists nor objects."""
PIECE_BYTES = 64 * 1024

_BOUNDARY = re.compile(
    r'multipart/form-data *; *boundary=(?:([A-Za-z0-9_.+\'-]{1,70})|"([A-Za-z0-9_.+\'(),/:=?-]{1,70})")', re.IGNORECASE
)
"""The whole of a content type: a further parameter (`charset`, a second boundary) changes the reading of some servers."""
_NAME = re.compile(r"([a-z][a-z0-9_]{0,63})((?:\[[A-Za-z0-9_]{0,64}\]){0,3})")
_DISPOSITION = re.compile(rb'form-data((?:; *[a-z*]+="[^"\\\x00-\x1f\x7f]*")+)')
_PARAMETER = re.compile(rb'; *([a-z*]+)="([^"]*)"')
_TOKEN = rb"[A-Za-z0-9!#$&^_.+-]+"
_TYPE = re.compile(_TOKEN + rb"/" + _TOKEN + rb"(?:; *" + _TOKEN + rb"=(?:" + _TOKEN + rb'|"[^"\\\x00-\x1f\x7f]*"))*')
_TEXT_TYPE = re.compile(rb"text/plain(?:; *charset=\"?utf-8\"?)?", re.IGNORECASE)
_AS_IT_IS = frozenset({b"binary", b"8bit", b"7bit"})


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a field and where it stands in the body."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Form:
    """What a form holds."""

    fields: dict[str, tuple[Value, ...]]
    """Name -> values; several only of a name that ends in `[]`, without which it stands here."""
    lists: frozenset[str]
    """The names that ended in `[]`."""
    files: tuple[Upload, ...]


@dataclass(slots=True)
class _Part:
    """A part whose head has been read."""

    name: str
    file: str | None
    media_type: str | None
    declared: int | None
    start: int
    length: int = 0
    value: bytearray = field(default_factory=bytearray)


def boundary(content_type: str) -> bytes:
    """Return the boundary in the value of a `content-type` header.  Raises RequestError."""
    found = _BOUNDARY.fullmatch(content_type.strip(" \t"))
    if found is None:
        raise RequestError(
            Refusal("unsupported_encoding", "send the body as `content-type: multipart/form-data; boundary=…`")
        )
    return (found[1] or found[2]).encode()


def read(content_type: str, body: bytes) -> Form:
    """Return the form in a whole body.  Raises RequestError."""
    reader, whole = Reader(boundary(content_type)), memoryview(body)
    for at in range(0, len(body), PIECE_BYTES):
        reader.feed(whole[at : at + PIECE_BYTES])
    return reader.end()


class Reader:
    """Feed it a body; at its end it returns the form.  Raises RequestError (`ambiguous_body`, `invalid_value`)."""

    def __init__(self, boundary: bytes) -> None:
        self._dashed = b"--" + boundary
        self._buffer = bytearray()
        self._at = 0
        """Where in the body the buffer begins."""
        self._part: _Part | None = None
        self._parts: list[_Part] = []
        self._state: Callable[[], bool] = self._first

    def feed(self, data: bytes | memoryview) -> None:
        """Read as far as it can be told what the bytes are."""
        self._buffer += data
        while self._state():
            pass

    def end(self) -> Form:
        """Return the form; no more bytes will come."""
        if self._state != self._over or bytes(self._buffer) not in (b"", b"\r\n"):
            _ambiguous("the form does not end where its last part does")
        if not self._parts:
            _ambiguous("the form has no parts")
        return _form(self._parts)

    def _take(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        self._buffer = self._buffer[count:]  # deleting the front would keep all that there ever was
        self._at += count
        return taken

    def _first(self) -> bool:
        """The body begins with a boundary."""
        if len(self._buffer) < len(self._dashed):
            return False
        if self._take(len(self._dashed)) != self._dashed:
            _ambiguous("the form does not begin with its boundary")
        self._state = self._after_boundary
        return True

    def _after_boundary(self) -> bool:
        if len(self._buffer) < 2:
            return False
        match self._take(2):
            case b"\r\n":
                self._state = self._head
            case b"--":
                self._state = self._over
            case _:
                _ambiguous("something follows a boundary in its line")
        return True

    def _over(self) -> bool:
        """Nothing but one line end may follow the last boundary."""
        if not b"\r\n".startswith(self._buffer):
            _ambiguous("something follows the last boundary of the form")
        return False

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if max(end, len(self._buffer) if end < 0 else 0) > MAX_HEAD_BYTES:
            _ambiguous("the head of a part is too long")
        if end < 0:
            return False
        if len(self._parts) == MAX_PARTS:
            _ambiguous(f"the form has more than {MAX_PARTS} parts")
        head = self._take(end + 4)[:-4]
        self._part = _part(head, self._at)
        self._parts.append(self._part)
        self._state = self._content
        return True

    def _content(self) -> bool:
        part = self._part
        assert part is not None
        found = self._buffer.find(self._dashed)
        if found < 0:
            # What could still be the end of line before a boundary, or the beginning of one, stays.
            self._keep(part, self._take(max(0, len(self._buffer) - len(self._dashed) - 1)))
            return False
        content = self._take(found)
        if not content.endswith(b"\r\n"):
            _ambiguous("the boundary of the form occurs inside a part")
        self._keep(part, content[:-2])
        self._take(len(self._dashed))
        if part.declared not in (None, part.length):
            _ambiguous("a part has another length than it says")
        self._state = self._after_boundary
        return True

    @staticmethod
    def _keep(part: _Part, content: bytes) -> None:
        part.length += len(content)
        if part.file is None:
            part.value += content
            if part.length > MAX_FIELD_BYTES:
                raise RequestError(
                    Refusal("request_too_large", f"`{part.name}` is longer than {MAX_FIELD_BYTES} bytes", part.name)
                )


def _part(head: bytes, start: int) -> _Part:
    """Return the part of a head, which begins where the head ends."""
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        key = name.lower()
        if not colon or key not in _HEADERS or key in headers or b"\r" in value or b"\n" in value:
            _ambiguous("the head of a part has a line that is repeated, not known or not valid")
        headers[key] = value.strip(b" \t")
    found = _DISPOSITION.fullmatch(headers.get(b"content-disposition", b""))
    given = _PARAMETER.findall(found[1]) if found is not None else []
    parameters = dict(given)
    if len(parameters) != len(given) or b"name" not in parameters or parameters.keys() - {b"name", b"filename"}:
        _ambiguous("a part does not say once what it is called")
    declared = headers.get(b"content-length", b"")
    if headers.get(b"content-transfer-encoding", b"binary").lower() not in _AS_IT_IS:
        _ambiguous("a part is encoded for transfer")
    if declared and not (declared.isdigit() and len(declared) < 12):
        _ambiguous("the length of a part is no number")
    try:
        name = parameters[b"name"].decode("ascii")
        file = parameters[b"filename"].decode() if b"filename" in parameters else None
    except UnicodeDecodeError:
        _ambiguous("the name of a part is not UTF-8")
    return _Part(
        _known(name, file),
        file,
        _media_type(headers.get(b"content-type"), file),
        int(declared) if declared else None,
        start,
    )


_HEADERS = frozenset({b"content-disposition", b"content-type", b"content-length", b"content-transfer-encoding"})


def _known(name: str, file: str | None) -> str:
    """Return the name of a part, checked to be one and to be a file if, and only if, it is to be one."""
    spelled = _NAME.fullmatch(name)
    if spelled is None or (spelled[2] and spelled[1] in SINGLE):
        _ambiguous("the name of a part is none that a field can have")
    if (spelled[1] in FILES) is not (file is not None):
        should = "is to be a file" if file is None else "is a field and cannot be a file"
        raise RequestError(Refusal("invalid_value", f"`{name}` {should}", param=name))
    return name


def _media_type(given: bytes | None, file: str | None) -> str | None:
    if given is None:
        return None
    if (_TEXT_TYPE if file is None else _TYPE).fullmatch(given) is None:
        _ambiguous("the content type of a part is not one that has one reading")
    return given.decode("ascii").lower()


def _form(parts: list[_Part]) -> Form:
    fields: dict[str, tuple[Value, ...]] = {}
    files: list[Upload] = []
    _check_names([part.name for part in parts])
    for part in parts:
        name = part.name.removesuffix("[]")
        if part.file is not None:
            files.append(Upload(name, part.file, part.media_type, part.length))
            continue
        try:
            value = Value(part.value.decode(), part.start, part.start + part.length)
        except UnicodeDecodeError:
            raise RequestError(Refusal("invalid_value", f"`{name}` is not UTF-8", param=name)) from None
        fields[name] = (*fields.get(name, ()), value)
    lists = frozenset(part.name[:-2] for part in parts if part.name.endswith("[]"))
    return Form(fields, lists, tuple(files))


def _check_names(names: list[str]) -> None:
    """Refuse a name that occurs twice and is no list's, and one that is once a field, once a list or an object."""
    kinds: dict[str, str] = {}
    seen: set[str] = set()
    for name in names:
        base, bracket, rest = name.partition("[")
        kind = "list" if rest == "]" else bracket
        if (name in seen and not name.endswith("[]")) or kinds.setdefault(base, kind) != kind:
            raise RequestError(Refusal("ambiguous_body", f"`{base}` occurs more than once", param=base))
        seen.add(name)


def _ambiguous(message: str) -> Never:
    raise RequestError(Refusal("ambiguous_body", message))
