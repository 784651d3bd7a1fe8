"""All limits or none, once."""

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.limits.demand import Amounts, Limit
from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation

SECOND = 1_000_000_000


def a_limit(subject="user:alice", amount=2, window_s=60) -> Limit:
    return Limit(subject, "requests", amount, window_s)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10)), max_size=40),
    st.lists(st.integers(1, 6), min_size=3, max_size=3),
)
def test_a_refused_call_takes_nothing_anywhere(calls, amounts):
    ledger = Ledger()
    limits = {name: a_limit(f"user:{name}", amount) for name, amount in zip("abc", amounts, strict=True)}
    overall = a_limit("global", 5)
    taken = dict.fromkeys("abcg", 0)
    for number, (name, _) in enumerate(calls):
        outcome = ledger.reserve(f"c{number}", [limits[name], overall], number)
        if isinstance(outcome, Reservation):
            taken[name] += 1
            taken["g"] += 1
        else:
            assert taken[name] == limits[name].amount or taken["g"] == overall.amount
    assert all(taken[name] <= limits[name].amount for name in "abc")
    assert taken["g"] <= 5


def test_asked_twice_a_call_takes_once():
    ledger = Ledger()
    first = ledger.reserve("c", [a_limit()], 0)
    assert ledger.reserve("c", [a_limit()], 1) is first
    assert isinstance(ledger.reserve("d", [a_limit()], 2), Reservation)
    assert isinstance(ledger.reserve("e", [a_limit()], 3), Exceeded)


def test_a_reservation_is_settled_once():
    ledger = Ledger()
    held = ledger.reserve("c", [a_limit()], 0)
    assert isinstance(held, Reservation)
    assert ledger.open_count == 1
    assert ledger.settle(held)
    assert not ledger.settle(held)
    assert ledger.open_count == 0


def test_of_two_exceeded_limits_the_longer_wait_is_named():
    ledger = Ledger()
    limits = [a_limit(amount=1, window_s=1), a_limit(amount=1, window_s=3600)]
    ledger.reserve("c", limits, 0)
    refused = ledger.reserve("d", limits, 1)
    assert isinstance(refused, Exceeded)
    assert refused.limit.window_s == 3600
    assert 3000 < refused.retry_after_s <= 3960


def test_a_changed_amount_keeps_the_count():
    ledger = Ledger()
    for number in range(3):
        ledger.reserve(f"c{number}", [a_limit(amount=3)], 0)
    assert isinstance(ledger.reserve("d", [a_limit(amount=3)], 1), Exceeded)
    raised = ledger.reserve("e", [a_limit(amount=5)], 1)
    assert isinstance(raised, Reservation)
    assert raised.standings[0].remaining == 1


def test_the_tightest_limit_is_the_one_with_the_smallest_share_left():
    ledger = Ledger()
    held = ledger.reserve("c", [a_limit(amount=2), a_limit("global", 100)], 0)
    assert isinstance(held, Reservation)
    assert held.tightest is not None
    assert held.tightest.limit.subject == "user:alice"
    assert Reservation("x", ()).tightest is None


def test_idle_subjects_are_forgotten_a_few_at_a_time():
    ledger = Ledger()
    for number in range(250):
        held = ledger.reserve(f"c{number}", [a_limit(f"user:{number}")], 0)
        assert isinstance(held, Reservation)
        ledger.settle(held)
    for _ in range(3):
        ledger.sweep(1000 * SECOND)
    assert len(ledger._windows) == 0


def a_budget(amount=1000, kind="tokens", subject="team:lab") -> Limit:
    return Limit(subject, kind, amount, 86_400)


def test_tokens_and_cost_are_held_at_their_bound_and_settled_at_what_they_were():
    ledger, limits = Ledger(), [a_budget(), a_budget(100, "cost")]
    held = ledger.reserve("c", limits, 0, Amounts(tokens=900, nusd=90))
    assert isinstance(held, Reservation)
    assert isinstance(ledger.reserve("d", limits, 1, Amounts(tokens=200, nusd=1)), Exceeded)
    assert ledger.settle(held, Amounts(tokens=300, nusd=30))
    again = ledger.reserve("e", limits, 2, Amounts(tokens=700, nusd=70))
    assert isinstance(again, Reservation)
    assert [standing.remaining for standing in again.standings] == [0, 0]
    ledger.settle(again, Amounts(tokens=2000, nusd=0))  # more than was held
    refused = ledger.reserve("f", limits, 3, Amounts(tokens=1, nusd=1))
    assert isinstance(refused, Exceeded)
    assert list(refused.every) == [limits[0]]


def test_what_has_left_its_window_is_not_corrected():
    ledger, limit = Ledger(), Limit("user:a", "tokens", 100, 10)
    held = ledger.reserve("c", [limit], 0, Amounts(tokens=100))
    ledger.reserve("d", [limit], 100 * SECOND, Amounts(tokens=50))
    assert isinstance(held, Reservation)
    ledger.settle(held, Amounts())
    again = ledger.reserve("e", [limit], 100 * SECOND + 1, Amounts(tokens=50))
    assert isinstance(again, Reservation)
    assert again.standings[0].remaining == 0


def test_every_limit_that_refuses_is_named():
    ledger, limits = Ledger(), [a_limit(amount=0), a_limit("global", 5), a_budget(10)]
    refused = ledger.reserve("c", limits, 0, Amounts(tokens=11))
    assert isinstance(refused, Exceeded)
    assert set(refused.every) == {limits[0], limits[2]}
    assert isinstance(ledger.reserve("d", limits[1:], 0, Amounts(tokens=10)), Reservation)


def test_only_requests_are_told_in_headers():
    held = Ledger().reserve("c", [a_budget(5), a_limit(amount=9)], 0, Amounts(tokens=5))
    assert isinstance(held, Reservation)
    assert held.tightest is not None
    assert held.tightest.limit.kind == "requests"


def test_too_many_made_up_subjects_are_counted_together():
    ledger = Ledger(max_windows=3)
    outcomes = [ledger.reserve(f"c{n}", [Limit(f"rule:r:{n}", "requests", 2, 60, crowd="rule:r")], 0) for n in range(6)]
    assert [isinstance(outcome, Reservation) for outcome in outcomes] == [True] * 5 + [False]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 80), st.booleans()), max_size=30))
def test_what_is_counted_is_what_was_charged(calls):
    ledger, limit, expected = Ledger(), a_budget(400), 0
    for number, (held, true, ends) in enumerate(calls):
        outcome = ledger.reserve(f"c{number}", [limit], number, Amounts(tokens=held), usage_of=("alice", "m"))
        if isinstance(outcome, Exceeded):
            assert expected + held > 400
            continue
        if ends:
            ledger.settle(outcome, Amounts(tokens=true))
        expected += true if ends else held
        assert ledger.usage("alice", "m", number)["daily_token_usage"] == expected
