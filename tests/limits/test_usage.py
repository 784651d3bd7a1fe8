"""Usage is what was taken, by its user."""

from jupiter_addons.limits.demand import Amounts, Limit
from jupiter_addons.limits.ledger import Exceeded, Ledger, Reservation
from jupiter_addons.limits.usage import meters

HOUR = 3600 * 1_000_000_000


def test_a_user_without_calls_has_used_nothing():
    assert set(Ledger().usage("alice", "m", 0).values()) == {0}
    assert set(Ledger().usage("alice", "m", 0)) == set(meters("alice", "m"))


def test_what_was_taken_is_told_in_each_window():
    ledger = Ledger()
    for number in range(3):
        held = ledger.reserve(
            f"c{number}", [], number * HOUR, Amounts(tokens=100, nusd=5_000_000_000), usage_of=("alice", "m")
        )
        assert isinstance(held, Reservation)
        assert held.standings == ()
        ledger.settle(held, Amounts(tokens=10, nusd=500_000_000))
    assert ledger.usage("alice", "m", 2 * HOUR + 1) == {
        "requests_this_second": 1,
        "model_requests_this_hour": 2,
        "requests_this_hour": 2,  # the sub-bucket at the edge counts until it has left entirely
        "requests_today": 3,
        "daily_token_usage": 30,
        "monthly_token_usage": 30,
        "daily_cost": 1.5,
        "monthly_cost": 1.5,
    }
    of_another = ledger.usage("alice", "another", 2 * HOUR + 1)
    assert (of_another["model_requests_this_hour"], of_another["requests_this_hour"]) == (0, 2)
    assert ledger.usage("alice", "m", 40 * HOUR)["daily_cost"] == 0
    assert ledger.usage("alice", "m", 40 * HOUR)["monthly_cost"] == 1.5
    assert ledger.usage("bob", "m", 0)["requests_today"] == 0


def test_a_refused_call_is_not_used():
    ledger = Ledger()
    assert isinstance(ledger.reserve("c", [Limit("global", "requests", 0, 60)], 0, usage_of=("alice", "m")), Exceeded)
    assert ledger.usage("alice", "m", 0)["requests_today"] == 0
