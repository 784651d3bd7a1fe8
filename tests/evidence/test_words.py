"""What was said is found, however it was spelled and cut up."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.evidence.words import contains, texts


def stream(pieces, prefix="data: "):
    events = [{"id": "x", "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return ("".join(f"{prefix}{json.dumps(event)}\n\n" for event in events) + f"{prefix}[DONE]\n\n").encode()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"messages":[{"role":"user","content":"Tell me about Caf\\u00e9 Noir"}]}', "caf\u00e9 noir"),
        (b'{"a":"one\\ntwo"}', "one\ntwo"),
        (stream(["The ca", "nary ", "sings"]), "canary sings"),
        (stream(["The ca", "nary"], prefix=""), "The canary"),
        (b'event: x\ndata: {"text":"hello"}\n\nevent: x\ndata: {"text":" world"}\n\n', "hello world"),
        (b"plain words", "PLAIN"),
        (b'"just a string"', "a str"),
    ],
    ids=["escapes", "line break", "events", "lines", "named events", "no json", "string"],
)
def test_words_are_found(body, words):
    assert contains(body, words)
    assert not contains(body, words + "!")


@given(st.text(min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=6))
def test_a_text_is_found_wherever_it_was_cut(text, cuts):
    marks = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[start:end] for start, end in itertools.pairwise(marks)]
    assert text in texts(stream(pieces))


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 10_000, b"data: \n\n", b"{}"])
def test_nothing_that_was_sent_is_a_fault(body):
    assert not contains(body, "canary")


def test_names_are_not_words():
    assert not contains(b'{"canary": 1}', "canary")
