"""Only the named values change; every other byte is the one received."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupiter_addons.dialects.splice import REMOVED, splice

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(
    ['"', "\\", '\\"', "{", "]", "😀", "\u2028"]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT, below, max_size=4), max_leaves=12
)
OBJECTS = st.dictionaries(TEXT, JSON, min_size=1, max_size=5)
SPACE = st.sampled_from(["", " ", "\n\t", " \r\n "])


@st.composite
def written(draw, value):
    """Some spelling of a value: odd spacing, needless escapes, surrogate pairs."""
    gap = lambda: draw(SPACE)  # noqa: E731
    if isinstance(value, dict):
        inner = ",".join(f"{gap()}{draw(written(k))}{gap()}:{gap()}{draw(written(v))}{gap()}" for k, v in value.items())
        return "{" + (inner or gap()) + "}"
    if isinstance(value, list):
        return "[" + (",".join(f"{gap()}{draw(written(v))}{gap()}" for v in value) or gap()) + "]"
    if isinstance(value, str):
        if draw(st.booleans()):
            units = value.encode("utf-16-be")
            return '"' + "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2)) + '"'
        return json.dumps(value, ensure_ascii=draw(st.booleans()))
    if isinstance(value, float) and draw(st.booleans()):
        return json.dumps(value).replace("e", "E")
    return json.dumps(value)


def paths_of(value, path=()):
    found = [path] if path else []
    if isinstance(value, dict):
        for key, below in value.items():
            found += paths_of(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            found += paths_of(below, (*path, index))
    return found


def changed(value, path, new):
    """The naive way: on the parsed value."""
    step, *rest = path
    if isinstance(value, dict):
        out = {k: changed(v, rest, new) if k == step and rest else v for k, v in value.items()}
        if not rest and new is REMOVED:
            out.pop(step, None)
        elif not rest:
            out[step] = new
        return out
    out = [changed(v, rest, new) if i == step and rest else v for i, v in enumerate(value)]
    if not rest and new is REMOVED:
        del out[step]
    elif not rest:
        out[step : step + 1] = [new]
    return out


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_result_is_the_expected_value_and_what_is_before_and_after_is_untouched(data):
    value = data.draw(OBJECTS)
    body = (data.draw(SPACE) + data.draw(written(value)) + data.draw(SPACE)).encode()
    path = data.draw(st.sampled_from(paths_of(value)))
    new = data.draw(JSON | st.just(REMOVED))
    result = splice(body, {path: new})
    assert json.loads(result) == changed(value, path, new)
    if new is not REMOVED:
        piece = orjson.dumps(new)
        cut = len(body) - (len(result) - len(piece))
        assert any(
            body[:at] == result[:at]
            and body[at + cut :] == result[at + len(piece) :]
            and result[at : at + len(piece)] == piece
            for at in range(len(body))
        ), "one span was replaced"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_several_edits_are_as_one_after_the_other(data):
    value = data.draw(OBJECTS)
    body = data.draw(written(value)).encode()
    every = paths_of(value)
    picked = data.draw(st.lists(st.sampled_from(every), unique=True, max_size=4))
    apart = [p for p in picked if not any(p != q and p[: len(q)] == q for q in picked)]
    edits = {p: data.draw(JSON | st.just(REMOVED)) for p in apart}
    if not edits:
        return
    expected = value
    for path in sorted(edits, key=lambda p: tuple(-s if isinstance(s, int) else 0 for s in p)):  # later elements first
        expected = changed(expected, path, edits[path])
    assert json.loads(splice(body, edits)) == expected


@given(OBJECTS, TEXT, JSON, st.data())
def test_a_new_name_comes_last(value, name, new, data):
    value.pop(name, None)
    body = data.draw(written(value)).encode()
    result = splice(body, {(name,): new})
    assert list(json.loads(result)) == [*value, name]
    assert json.loads(result)[name] == new
    piece = (b"," if value else b"") + orjson.dumps(name) + b":" + orjson.dumps(new)
    assert any(
        result[:at] + result[at + len(piece) :] == body for at in range(len(body)) if result[at:].startswith(piece)
    )


@pytest.mark.parametrize(
    ("body", "edits", "result"),
    [
        (b'{"a":1, "b":2}', {("b",): REMOVED}, b'{"a":1}'),
        (b'{"a":1, "b":2}', {("a",): REMOVED}, b'{"b":2}'),
        (b'{ "a":1 }', {("a",): REMOVED}, b"{  }"),
        (b'{"a":1,"b":2,"c":3}', {("a",): REMOVED, ("c",): REMOVED}, b'{"b":2}'),
        (b'{"a":1,"b":2,"c":3}', {("b",): REMOVED, ("c",): REMOVED, ("d",): 4}, b'{"a":1,"d":4}'),
        (b'{"a":1}', {("a",): REMOVED, ("b",): 2}, b'{"b":2}'),
        (b"{ }", {("a",): 1}, b'{"a":1 }'),
        (b'{"a":[1, 2]}', {("a", 2): 3}, b'{"a":[1, 2,3]}'),
        (b'{"a":[]}', {("a", 0): 1, ("a", 1): 2}, b'{"a":[1,2]}'),
        (b'{"a":{}}', {("a", "b", "c"): 1}, b'{"a":{"b":{"c":1}}}'),
        (b'{"a":1}', {("b",): REMOVED}, b'{"a":1}'),
        (b'{"\\u0061":1}', {("a",): 2}, b'{"\\u0061":2}'),
        (b'{"a":"}]\\"\\\\","b":1E2}', {("b",): 3}, b'{"a":"}]\\"\\\\","b":3}'),
        (b'{"n":12345678901234567890123,"b":1}', {("b",): 3}, b'{"n":12345678901234567890123,"b":3}'),
        (b'{"a":' + b"[" * 60 + b"1" + b"]" * 60 + b',"b":1}', {("a", *[0] * 60): 2}, b'{"a":' + b"[" * 60 + b"2" + b"]" * 60 + b',"b":1}'),
    ],
)  # fmt: skip
def test_edits(body, edits, result):
    assert splice(body, edits) == result


@pytest.mark.parametrize(
    ("body", "edits"),
    [
        (b'{"a":{"b":1}}', {("a",): 1, ("a", "b"): 2}),
        (b'{"a":{"b":1}}', {("a", "b"): 2, ("a",): 1}),
        (b'{"a":1}', {("a", "b"): 2}),
        (b'{"a":[1]}', {("a", 3): 2}),
        (b'{"a":[1]}', {("a", "b"): 2}),
        (b'{"a":{}}', {("a", 0): 2}),
        (b'{"a":{}}', {("a", "b", 0): 2}),
        (b'{"a":1,"a":2}', {("a",): 2}),
        (b'{"a":1,"\\u0061":2}', {("a",): 2}),
        (b'{"a":1}', {(): 2}),
        (b'{"a":1}', {("a",): "\ud800"}),
        (b'{"a":1}', {}),
    ],
)
def test_what_cannot_be_done_is_refused(body, edits):
    with pytest.raises(ValueError):
        splice(body, edits)
