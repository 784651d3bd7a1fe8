"""Every character of a scalar is found where it stands, however the scalar is written."""

import pytest

from jupiter_addons.documents import read
from jupiter_addons.policy.places import Places

WRITTEN = {
    "plain": "a: x == y1\n",
    "single": "a: 'x == ''y1'''\n",
    "double": 'a: "x == \\"y1\\""\n',
    "escaped": 'a: "\\x78 == \\ty1"\n',
    "literal": "a: |\n  x ==\n  y1\n",
    "literal-gap": "a: |-\n\n   x ==\n\n     y1\n",
    "folded": "a: >\n  x ==\n  y1\n",
    "plain-lines": "a: x ==\n      y1\n",
    "single-lines": "b: 1\na: 'x ==\n    y1'\n",
    "flow": "{b: 1, a: x == y1}\n",
    "in-a-list": "a:\n  - [1, 'x == y1']\n",
}


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_a_character_is_found_in_its_file(text):
    (node,) = [one for one in _scalars(read("p", text.encode())) if isinstance(one.scalar, str)]
    at = Places(text.splitlines(), node).at(node.scalar.index("y"))
    assert text.splitlines()[at.line - 1][at.column - 1 :].startswith("y1")


def _scalars(node):
    below = [*(node.items or ()), *(node.entries or {}).values()]
    return [found for child in below for found in _scalars(child)] if below else [node]


def test_behind_the_end_and_beyond():
    text = "a: xy\n"
    node = read("p", text.encode()).entries["a"]
    places = Places(text.splitlines(), node)
    assert [places.at(offset).column for offset in (0, 1, 2, 99)] == [4, 5, 6, 4]


def test_what_is_not_found_stands_where_the_scalar_begins():
    node = read("p", b"a: &x xy\n").entries["a"]
    assert Places(["a: &x xy"], node).at(1) == node.mark
    assert Places([], node).at(0) == node.mark
