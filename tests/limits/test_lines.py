"""A line is fair to principals."""

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.limits.lines import Line


def served(line: Line[str], whose: dict[str, str]) -> list[str]:
    order = []
    while (ticket := line.first) is not None:
        order.append(ticket)
        line.leave(whose[ticket], ticket)
    return order


def test_principals_take_turns_however_many_calls_each_has():
    line: Line[str] = Line(99)
    whose = {**{f"a{n}": "a" for n in range(4)}, "b0": "b", "c0": "c", "c1": "c"}
    for ticket, principal in whose.items():
        assert line.join(principal, ticket) is None
    assert served(line, whose) == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]
    assert len(line) == 0


def test_no_more_wait_than_may():
    line: Line[str] = Line(2)
    assert [line.join("a", str(n)) for n in range(3)] == [None, None, "2"]
    line.leave("a", "1")
    assert line.join("b", "3") is None
    assert len(line) == 2


def test_one_principal_cannot_fill_the_line():
    line: Line[str] = Line(3)
    whose = {ticket: ticket[0] for ticket in ("a0", "a1", "a2", "b0", "c0", "d0")}
    assert [line.join(whose[ticket], ticket) for ticket in whose] == [None, None, None, "a2", "a1", "d0"]
    assert served(line, whose) == ["a0", "b0", "c0"]


def test_a_line_in_which_nobody_may_wait_stays_empty():
    line: Line[str] = Line(0)
    assert line.join("a", "a0") == "a0"
    assert (line.first, len(line)) == (None, 0)


def test_who_gives_up_costs_nobody_a_turn():
    line: Line[str] = Line(9)
    for principal, ticket in (("a", "a0"), ("a", "a1"), ("b", "b0")):
        line.join(principal, ticket)
    line.leave("a", "a1")
    assert line.first == "a0"
    line.leave("b", "b0")
    line.leave("a", "a0")
    assert line.first is None


@given(st.lists(st.sampled_from("abcd"), max_size=40))
def test_everybody_is_served_once_and_the_calls_of_one_in_their_order(callers):
    line: Line[str] = Line(99)
    whose = {f"{principal}{number}": principal for number, principal in enumerate(callers)}
    for ticket, principal in whose.items():
        line.join(principal, ticket)
    order = served(line, whose)
    assert sorted(order) == sorted(whose)
    for principal in "abcd":
        own = [ticket for ticket in order if whose[ticket] == principal]
        assert own == [ticket for ticket in whose if whose[ticket] == principal]


def test_all_that_wait_are_told_with_their_principals():
    line = Line[int](9)
    for principal, ticket in (("a", 1), ("b", 2), ("a", 3)):
        line.join(principal, ticket)
    assert sorted(line) == [("a", 1), ("a", 3), ("b", 2)]
