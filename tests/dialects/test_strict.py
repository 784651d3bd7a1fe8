"""Only bodies with one reading are accepted."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupiter_addons.dialects.strict import DECIDING, MAX_DEPTH, MAX_INTEGER, read_answer, scan
from jupiter_addons.errors import RequestError, UpstreamError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: st.lists(children) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children),
    max_leaves=20,
)


def refused(body: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        scan(body)
    return caught.value


NAMES = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name.casefold() not in DECIDING)


@given(st.dictionaries(NAMES, JSON))
@example({"a": -0.0, "b": 1e308, "c": [[], {}], "\u0000": "\u0000"})
def test_every_plain_object_is_read_as_what_it_is(value):
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert scan(text.encode()) == json.loads(text)


@given(st.text('{}[]",:\\ntfue01.e-+ a', max_size=40))
def test_what_is_accepted_has_one_reading(text):
    body = text.encode()
    try:
        value = scan(body)
    except RequestError:
        return
    last = json.loads(body)
    first = json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert value == last == first


def test_a_duplicate_is_named_by_its_path():
    body = b'{"messages":[{"a":1},{"role":"user","x":{"k":1,"k":2}}]}'
    assert refused(body).refusal.param == "messages[1].x.k"


@pytest.mark.parametrize("number", [b"9007199254740993", b"-9007199254740993", b"1" * 400, b"123456789012345678"])
def test_an_integer_beyond_2_53_is_refused(number):
    assert refused(b'{"n":' + number + b"}").refusal.code in ("ambiguous_body", "invalid_json")


def test_depth_is_counted_outside_strings_only():
    assert scan(b'{"a":"' + b"[{" * 500 + b'"}')
    inner = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)
    assert scan(b'{"a":' + inner + b"}")
    assert refused(b'{"a":[' + inner + b"]}").refusal.code == "ambiguous_body"


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 50_000, b'"' + b"\\" * 100_000, b'{"a":"' + b'\\"' * 100_000]
)
def test_a_hostile_body_costs_little(body):
    start = time.process_time()
    refused(body)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model": "ok", "Model": "denied"}', "Model"),
        (b'{"me\xc5\xbf\xc5\xbfages": []}', "me\u017f\u017fages"),
        (b'{"messages": [{"role": "user", "Content": "x"}]}', "messages[0].Content"),
        (b'{"input": [{"ROLE": "user"}]}', "input[0].ROLE"),
    ],
)
def test_another_spelling_of_a_name_that_decides_is_refused(body, param):
    """Servers written in Go match names without regard to case: they would read another call than we do."""
    with pytest.raises(RequestError) as caught:
        scan(body)
    assert (caught.value.refusal.code, caught.value.refusal.param) == ("ambiguous_body", param)


def test_names_of_the_clients_own_are_free():
    assert scan(b'{"model": "m", "extraBody": {"Model": 1}, "metadata": {"Role": "x"}}')["model"] == "m"


@pytest.mark.parametrize(
    "answer",
    [
        b'{"content": "a", "content": "b"}',
        b'{"choices": [{"message": {"content": "a", "content": "b"}}]}',
        b"{broken",
        b"[]",
        b'{"a": "\\ud800"}',
        b"\xff",
    ],
)
def test_an_answer_that_a_rule_has_to_see_must_have_one_reading(answer):
    with pytest.raises(UpstreamError):
        read_answer(answer)


def test_numbers_of_an_answer_may_be_as_large_as_they_like():
    assert read_answer(b'{"seed": 123456789012345678}') == {"seed": 123456789012345678}
