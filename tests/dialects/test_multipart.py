"""A form has one reading, or is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.forms import BOUNDARY, TYPE, form, part

from jupiter_addons.dialects.call import Upload
from jupiter_addons.dialects.multipart import MAX_FIELD_BYTES, MAX_PARTS, Reader, Value, boundary, read
from jupiter_addons.errors import RequestError

SOUND = bytes(range(256)) * 3 + b"\r\n--xYz\r\n-----\r\n\r\n"
PLAIN = form(
    part("model", "whisper"),
    part("file", SOUND, file="é a.mp3", media="audio/webm;codecs=opus"),
    part("prompt", "a\r\nb"),
)


def bytewise(body, size=1):
    reader = Reader(BOUNDARY.encode())
    for at in range(0, len(body), size):
        reader.feed(body[at : at + size])
    return reader.end()


def outcome(body, read_it):
    try:
        return read_it(body)
    except RequestError as error:
        return error.refusal


def test_fields_are_read_and_files_are_measured():
    found = read(TYPE, PLAIN)
    assert {name: value.text for name, (value,) in found.fields.items()} == {"model": "whisper", "prompt": "a\r\nb"}
    assert found.files == (Upload("file", "é a.mp3", "audio/webm;codecs=opus", len(SOUND)),)


def test_a_value_is_where_it_says():
    for value in (one for values in read(TYPE, PLAIN).fields.values() for one in values):
        assert PLAIN[value.start : value.end] == value.text.encode()


def test_it_does_not_matter_in_which_pieces_it_comes():
    for size in (1, 2, 3, 7, 64, len(PLAIN)):
        assert bytewise(PLAIN, size) == read(TYPE, PLAIN)


TEXTS = st.text(max_size=20).filter(lambda text: BOUNDARY not in text)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in ("file", "image", "mask"))


@given(st.dictionaries(NAMES, TEXTS, min_size=1, max_size=5), st.binary(max_size=200), st.integers(1, 40))
def test_what_is_written_is_what_is_read(fields, data, size):
    sound = data.replace(BOUNDARY.encode(), b"")
    body = form(*(part(name, text) for name, text in fields.items()), part("file", sound, file="a", media="a/b"))
    found = bytewise(body, size)
    assert {name: value.text for name, (value,) in found.fields.items()} == fields
    assert [file.length for file in found.files] == [len(sound)]


@given(st.integers(0, len(PLAIN)), st.binary(max_size=3), st.integers(0, 3))
def test_whatever_is_done_to_a_form_whole_and_byte_by_byte_are_read_alike(at, put, cut):
    body = PLAIN[:at] + put + PLAIN[at + cut :]
    assert outcome(body, bytewise) == outcome(body, lambda whole: read(TYPE, whole))


@pytest.mark.parametrize("end", range(len(PLAIN) - 2))
def test_a_form_that_is_cut_is_no_form(end):
    with pytest.raises(RequestError):
        bytewise(PLAIN[:end], 16)


def test_a_list_may_repeat_and_its_name_says_so():
    found = read(
        TYPE,
        form(
            part("include[]", "a"),
            part("include[]", "b"),
            part("image[]", b"1", file="1"),
            part("image[]", b"22", file="2"),
        ),
    )
    assert found.fields == {"include": (Value("a", 70, 71), Value("b", 143, 144))}
    assert found.lists == {"include", "image"}
    assert [file.length for file in found.files] == [1, 2]


M = part("model", "a")
REFUSED = {
    "no parts": b"--" + BOUNDARY.encode() + b"--\r\n",
    "nothing": b"",
    "a preamble": b"hello\r\n" + form(M),
    "an epilogue": form(M) + b"x",
    "two line ends at the end": form(M) + b"\r\n",
    "no end": form(M)[:-4],
    "padding behind a boundary": form(M).replace(b"0123456789\r\n", b"0123456789 \r\n", 1),
    "a longer boundary": form(M, part("n", "1\r\n--" + BOUNDARY + "0\r\nx")),
    "a boundary inside a value": form(part("prompt", f"a--{BOUNDARY}b")),
    "a boundary after LF alone": form(part("prompt", f"a\n--{BOUNDARY}\r\n\r\nb")),
    "a boundary after CR alone": form(part("prompt", f"a\r--{BOUNDARY}\r\n\r\nb")),
    "an end in the middle": form(part("prompt", "a"), b"") + form(M),
    "lines that end in LF": form(M).replace(b"\r\n", b"\n"),
    "a head that ends in LF": form(b'Content-Disposition: form-data; name="model"\n\na'),
    "two models": form(M, part("model", "b")),
    "two models, one of them a list": form(M, part("model[]", "b")),
    "a model that is a list": form(part("model[]", "b")),
    "a model that is an object": form(M, part("model[x]", "b")),
    "a list and a field": form(part("include[]", "a"), part("include", "b")),
    "an object and a field": form(part("chunk[a]", "a"), part("chunk", "b")),
    "an object with a member twice": form(part("chunk[a]", "a"), part("chunk[a]", "b")),
    "two files of one name": form(part("file", b"a", file="a"), part("file", b"b", file="b")),
    "capital letters": form(part("Model", "a")),
    "a blank in a name": form(part("model ", "a")),
    "no name": form(b"Content-Disposition: form-data\r\n\r\na"),
    "an empty name": form(part("", "a")),
    "a name twice": form(b'Content-Disposition: form-data; name="model"; name="prompt"\r\n\r\na'),
    "a file name twice": form(b'Content-Disposition: form-data; name="file"; filename="a"; filename="b"\r\n\r\na'),
    "a second file name": form(b"Content-Disposition: form-data; name=\"file\"; filename=\"a\"; filename*=utf-8''b\r\n\r\na"),
    "a name without quotes": form(b"Content-Disposition: form-data; name=model\r\n\r\na"),
    "an escape in a name": form(b'Content-Disposition: form-data; name="mo\\del"\r\n\r\na'),
    "a quote in a file name": form(part("file", b"a", file='a\\"; name="model')),
    "not form-data": form(b'Content-Disposition: attachment; name="model"\r\n\r\na'),
    "two dispositions": form(M.replace(b"\r\n\r\n", b'\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n', 1)),
    "a folded line": form(b'Content-Disposition: form-data;\r\n name="model"\r\n\r\na'),
    "an unknown header": form(part("model", "a", more="X-Name: prompt\r\n")),
    "a transfer encoding": form(part("prompt", "YQ==", more="Content-Transfer-Encoding: base64\r\n")),
    "another charset": form(part("prompt", "a", media="text/plain; charset=utf-7")),
    "JSON in a field": form(part("prompt", "a", media="application/json")),
    "a wrong length": form(part("prompt", "abc", more="Content-Length: 2\r\n")),
    "a length that is none": form(part("prompt", "abc", more="Content-Length: +3\r\n")),
    "a model that is a file": form(part("model", b"a", file="a")),
    "a file that is a field": form(M, part("file", "a")),
    "a charset for all": form(M, part("_charset_", "utf-7")),
    "no UTF-8": form(part("prompt", b"\xff")),
    "no UTF-8 in a name": form(b'Content-Disposition: form-data; name="file"; filename="\xff"\r\n\r\na'),
    "too many parts": form(*(part(f"a{number}", "x") for number in range(MAX_PARTS + 1))),
    "a long head": form(part("model", "a", more="Content-Type: text/plain" + " " * 3000 + "\r\n")),
    "a long value": form(part("prompt", "a" * (MAX_FIELD_BYTES + 1))),
}  # fmt: skip


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(body):
    with pytest.raises(RequestError) as whole:
        read(TYPE, body)
    assert whole.value.refusal.row.status in (400, 413)
    with pytest.raises(RequestError):
        bytewise(body, 1 if len(body) < 5000 else 4096)


@pytest.mark.parametrize(
    "content_type",
    ["", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=a", f"{TYPE}; boundary=b", f"{TYPE}; charset=utf-7",
     'multipart/form-data; boundary="a', 'multipart/form-data; boundary="a\\"b"', "multipart/form-data; boundary=a b",
     "multipart/form-data; boundary=" + "a" * 71, f"{TYPE}, application/json", "multipart/form-data, boundary=a", "multipart/form-data; x=y; boundary=a",
     "multipart/form-data; boundary*=utf-8''a", "application/x-www-form-urlencoded"],
)  # fmt: skip
def test_a_content_type_has_one_boundary_and_nothing_else(content_type):
    with pytest.raises(RequestError):
        boundary(content_type)


@pytest.mark.parametrize(
    ("content_type", "found"),
    [
        ("multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxk", b"----WebKitFormBoundary7MA4YWxk"),
        ("Multipart/Form-Data;boundary=0a1b", b"0a1b"),
        ('multipart/form-data; Boundary="a:b/c?d=e"', b"a:b/c?d=e"),
    ],
)
def test_boundaries_are_read_as_clients_write_them(content_type, found):
    assert boundary(content_type) == found


def test_a_part_may_say_its_length_and_that_it_is_as_it_is():
    body = form(
        part(
            "prompt",
            "abc",
            more="Content-Length: 3\r\nContent-Transfer-Encoding: binary\r\n",
            media="text/plain; charset=UTF-8",
        )
    )
    assert read(TYPE, body).fields["prompt"][0].text == "abc"
