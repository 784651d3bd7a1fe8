"""Problems shown with their lines, as wide as a terminal and no wider."""

import pytest

from jupiter_addons.cli.text import counted, excerpt, problem_lines
from jupiter_addons.errors import Problem


def shown(line: str, column: int, width: int = 80) -> list[str]:
    return list(excerpt(Problem("f", 2, column, "wrong"), f"one\n{line}\nthree".encode(), width))


def test_the_word_at_the_place_is_marked():
    assert shown("  - operator: matchs, x", 15) == [
        "     2 |   - operator: matchs, x",
        "       |               ^^^^^^",
    ]


@pytest.mark.parametrize(
    ("line", "column", "marks"),
    [
        ('a: "b c" d', 4, "^^^^^"),
        ("a: {b: c}", 4, "^"),
        ("a: b", 5, "^"),
        ("", 1, "^"),
        ("a", 9, "^"),
        ("名前: x", 1, "^^^^"),
    ],
)
def test_what_is_marked_is_a_quoted_text_or_what_stands_together(line, column, marks):
    assert shown(line, column)[1].split("| ")[1].strip() == marks


def test_marks_stand_below_wide_characters():
    line, marks = shown("名: 値", 4)
    assert marks.index("^") - len("       | ") == 4
    assert line.endswith("値")


@pytest.mark.parametrize("column", [1, 60, 150, 199])
def test_a_long_line_is_cut_around_the_place(column):
    text = " ".join(f"word{number:03}" for number in range(25))
    line, marks = shown(text, column, 60)
    assert max(len(line), len(marks)) <= 60
    start = marks.index("^")
    assert line[start : start + marks.count("^")] in text + "…"
    assert line[start] == text[column - 1]


def test_nothing_in_a_file_acts_on_the_terminal():
    line, _ = shown("a\x1b[31m\tb", 1)
    assert line == "     2 | a\N{REPLACEMENT CHARACTER}[31m b"


@pytest.mark.parametrize("place", [(0, 0), (9, 1), (1, 0)])
def test_a_problem_of_the_whole_file_has_no_line(place):
    assert list(excerpt(Problem("f", *place, "wrong"), b"one", 80)) == []


def test_a_problem_is_place_message_line_and_hint():
    assert list(problem_lines(Problem("f", 1, 1, "it is wrong", "do right"), "error", b"one")) == [
        "f:1:1: error: it is wrong",
        "     1 | one",
        "       | ^^^",
        "  hint: do right",
    ]
    assert list(problem_lines(Problem("f", 0, 0, "it is wrong"), "note", b"one")) == ["f: note: it is wrong"]


def test_one_is_singular():
    assert [counted(number, "rule") for number in (0, 1, 2)] == ["0 rules", "1 rule", "2 rules"]
