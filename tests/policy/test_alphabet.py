"""What characters an expression tells apart, and how far it reads into them."""

import pytest

from jupiter_addons.policy.alphabet import SAMPLE, Alphabet, inner_states
from jupiter_addons.policy.repeats import atoms, read_tree


def taken(text: str) -> str:
    """What the only atom of an expression takes."""
    tree = read_tree(text)
    alphabet = Alphabet(tree)
    (atom,) = atoms(tree)
    return "".join(c for place, c in enumerate(alphabet.characters) if alphabet.takes(atom) >> place & 1)


def test_the_sample_has_each_character_once():
    assert len(SAMPLE) == len(set(SAMPLE))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "a"), ("(?i)a", "Aa"), ("(?i)k", "Kk\u212a"), ("\\d", "0123456789"), ("[b-d]", "bcd"), ("\\x{e9}", "é"), ("й", "й"), ("(?i)й", "Йй"), ("[ж-и]", "жи"), ("\\.", "."), ("\\n", "\n")],
)  # fmt: skip
def test_an_atom_takes_what_re2_says(text, expected):
    assert sorted(taken(text)) == sorted(expected)


def test_a_class_of_nothing_in_the_sample_has_a_character_of_its_own():
    tree = read_tree("\\p{Thaana}.")
    alphabet = Alphabet(tree)
    script, anything = atoms(tree)
    assert alphabet.takes(script) and alphabet.takes(script) & alphabet.takes(anything) == alphabet.takes(script)


def test_a_class_of_nothing_takes_nothing():
    assert taken("[^\\x00-\\x{10FFFF}]") == ""


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("a", 0, 0), ("\\w", 0, 0), ("é", 1, 1), ("漢", 2, 2), (".", 6, 9), ("\\S", 6, 9), ("\\pL", 900, 1500)],
)
def test_the_wider_a_class_the_more_there_is_inside_its_characters(text, least, most):
    (atom,) = atoms(read_tree(text))
    assert least <= inner_states(atom) <= most
