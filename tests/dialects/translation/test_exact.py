"""JSON of answers keeps every digit and every code unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.dialects.translation import exact
from jupiter_addons.errors import UpstreamError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_what_is_written_is_read_again(value):
    assert exact.loads(exact.dumps(value)) == value
    assert exact.loads(exact.text(value)) == value


@pytest.mark.parametrize(
    "text",
    ['{"id":12345678901234567890123}', '{"half":"\\ud83d"}', '{"n":-18446744073709551617}', '{"a":"\\ud83d","n":1}'],
)
def test_what_orjson_refuses_or_rounds_is_kept(text):
    assert exact.text(exact.loads(text)) == text
    assert exact.text(exact.loads(text.encode())) == text


@pytest.mark.parametrize("text", ["", "{", "NaN", "[Infinity]", '{"n":NaN,"u":"\\u0041"}', "\x00"])
def test_what_is_no_json_is_an_error(text):
    with pytest.raises(ValueError):
        exact.loads(text)
    with pytest.raises(UpstreamError):
        exact.answer(text.encode())


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"', b"\xff", b"[" * 100_000])
def test_an_answer_is_an_object(body):
    with pytest.raises(UpstreamError):
        exact.answer(body)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", {}), (" \n", {}), ('{"a":1}', {"a": 1}), ("[1]", None), ('{"a":', None), ("7", None)],
)
def test_arguments_are_an_object_or_nothing(text, found):
    assert exact.arguments(text) == found
