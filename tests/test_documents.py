"""YAML with positions."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons import documents
from jupiter_addons.documents import MAX_NODES, read
from jupiter_addons.errors import ConfigError

SCALARS = {
    "no": "no",
    "on": "on",
    "y": "y",
    "true": True,
    "False": False,
    "~": None,
    "null": None,
    "": None,
    "12": 12,
    "-3": -3,
    "0x1f": 31,
    "1.5": 1.5,
    "1e3": 1000.0,
    "12:30": "12:30",
    "2026-01-01": "2026-01-01",
    "1_000": "1_000",
    ".inf": ".inf",
    "'12'": "12",
    '"true"': "true",
}

REFUSED = {
    "too large": (b"#" * (1024 * 1024 + 1), "f: the file is larger than 1048576 bytes"),
    "too deep": (b"[" * 40 + b"]" * 40, "f:1:33: the file is nested deeper than 32 levels"),
    "far too deep": (b"[" * 20_000, "f: the file is nested deeper than 32 levels"),
    "not UTF-8": (b"a: \xff", "f: the file is not UTF-8 at byte 3"),
    "infinite": (b"a: 1e999", "f:1:4: the number `1e999` is too large"),
    "long number": (b"a: " + b"1" * 5000, "f:1:4: the number has more than 100 characters; hint: quote it"),
    "tag": (b"a: !!int x", "f:1:4: the tag `tag:yaml.org,2002:int` is not allowed"),
    "tag of its kind": (b"a: !!str x", "f:1:4: the tag `tag:yaml.org,2002:str` is not allowed"),
    "tag of a list": (b"!!seq [a]", "f:1:1: the tag `tag:yaml.org,2002:seq` is not allowed"),
    "own tag": (b"a: !x {b: c}", "f:1:4: the tag `!x` is not allowed"),
    "list as a key": (b"? [a]\n: b", "f:1:3: a key must be plain text"),
}


@pytest.mark.parametrize(("text", "value"), SCALARS.items(), ids=repr)
def test_a_scalar_is_what_yaml_1_2_says(text, value):
    found = read("f", f"a: {text}".encode()).plain()["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("data", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_safely_is_refused(data, problem):
    with pytest.raises(ConfigError) as caught:
        read("f", data)
    assert str(caught.value) == problem


def test_aliases_cannot_grow_a_small_file_into_a_large_one():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match=f"larger than {MAX_NODES} values"):
        read("f", "\n".join(lines).encode())


def test_every_duplicate_is_reported_with_its_place():
    with pytest.raises(ConfigError) as caught:
        read("f", b"a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert [(p.line, p.column) for p in caught.value.problems] == [(2, 11), (3, 1)]


def test_places_count_from_one_and_a_missing_value_is_at_its_parent():
    root = read("f", b"a:\n  - x\n  - {b: y}\n")
    assert (root.find(("a", 1, "b")).line, root.find(("a", 1, "b")).column) == (3, 9)
    assert root.find(("a", 1, "nothing")) == root.find(("a", 1))
    assert root.entries["a"].items[1].key_marks["b"].column == 6


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!#'\"\n \t,?|>%@`1.e", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(data):
    with contextlib.suppress(ConfigError):
        read("f", data).plain()


FILES = sorted([*Path(__file__).parents[1].glob("config/*.yaml"), *Path(__file__).parents[1].glob("policies/*.yaml")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_both_parsers_read_the_same_with_the_same_marks(path, monkeypatch):
    fast = read(path.name, path.read_bytes())
    monkeypatch.setattr(documents, "_FastLoader", documents._Loader)
    assert read(path.name, path.read_bytes()) == fast
