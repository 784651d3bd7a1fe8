"""Automata are counted as RE2 builds them: what doubles there doubles here."""

from itertools import pairwise

import pytest

from jupiter_addons.policy.alphabet import Alphabet
from jupiter_addons.policy.automaton import MOST_PLACES, MOST_STATES, Automaton, TooLargeError
from jupiter_addons.policy.repeats import read_tree


def size(text: str, direction="forwards") -> int | None:
    tree = read_tree(text)
    try:
        return Automaton(tree, Alphabet(tree), direction).explored()
    except TooLargeError as error:
        return None if error.work else -1


@pytest.mark.parametrize(
    ("text", "direction", "expected"),
    [
        ("a", "origin", 2 + 2 + 1),  # before, behind, dead
        ("ab", "origin", 2 + 2 + 2 + 1),
        ("a", "forwards", 3 + 2 + 1),  # before with what begins again, found, dead
        ("ab", "forwards", 3 + 4 + 2 + 1),
        ("a", "backwards", 3 + 4),  # what is found does not end it
        ("a*", "forwards", 3 + 1),  # the longest is preferred, and found at once
        ("a*?", "forwards", 2 + 1),
    ],
)  # fmt: skip
def test_small_automata_are_known_place_by_place(text, direction, expected):
    assert size(text, direction) == expected


def test_what_may_begin_anywhere_while_it_is_counted_doubles_with_each_character():
    sizes = [size(f"a.{{{n}}}z") for n in (5, 6, 7, 8)]
    assert all(later > 1.9 * sooner for sooner, later in pairwise(sizes))
    assert size("a.{12}z") is None


def test_what_begins_nowhere_else_grows_with_its_length():
    assert size("a[b-z]{400}a") < 10_000
    assert size("^.{100}z") < 20_000


def test_a_count_from_none_is_small_backwards():
    """RE2 writes `.{0,40}` so that backwards the nearest beginning covers those farther off."""
    assert size("ignore.{0,40}rules") is None
    assert size("ignore.{0,40}rules", "backwards") < MOST_PLACES
    assert size("rules.{40}a", "backwards") is None


def test_a_match_cuts_off_what_is_less_preferred():
    """Without the cut, each beginning within the thirty characters would be kept."""
    assert size("[A-Z]{2}\\d{2}[A-Z0-9]{11,30}") < 2000
    assert size("[A-Z]{2}\\d{2}[A-Z0-9]{11,30}x") is None


def test_assertions_hold_between_two_characters():
    assert size("\\Aa.{30}z") < 2000  # it begins but once
    assert size("(?m)^a.{30}z") < 2000  # no other line begins before it ends
    assert size("(?m)^a[\\s\\S]{30}z") is None
    assert size("\\ba\\B.{30}z") is None
    assert size("\\b\\d{3}-\\d{2}-\\d{4}\\b") < 200
    assert size("a\\z.{30}z") < 20  # nothing follows the end


def test_characters_of_many_bytes_have_states_inside():
    assert size("[a-z].{6}!") is not None
    assert size("\\pL.{6}!") is None


def test_more_is_not_looked_at_than_is_allowed():
    tree = read_tree("(a{1,100}){1,10}b")
    with pytest.raises(TooLargeError) as caught:
        Automaton(tree, Alphabet(tree), "forwards").explored()
    assert caught.value.work <= MOST_PLACES + 2000
    assert MOST_STATES <= 2000
