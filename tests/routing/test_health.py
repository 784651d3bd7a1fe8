"""What is known of one model at one provider."""

import pytest

from jupiter_addons.routing.breaker import BreakerRules
from jupiter_addons.routing.health import Health


def a_health() -> Health:
    return Health(BreakerRules(), lambda: 0.5)


def test_the_first_latency_is_the_mean_and_newer_ones_count_more_the_longer_ago_the_last_was():
    health = a_health()
    assert health.latency_s is None
    health.took(10, 0)
    assert health.latency_s == 10
    health.took(1, 0.1)
    assert 9 < health.latency_s < 10
    health.took(1, 60)
    assert health.latency_s == pytest.approx(1)


def test_who_was_never_asked_is_taken_to_be_fast_and_who_does_not_answer_gets_slower_by_the_second():
    health = a_health()
    assert health.expected_s(5) == 0
    health.asked(5)
    health.asked(6)
    assert health.expected_s(8) == 3
    health.ended()
    assert health.expected_s(8) == 0


def test_a_status_says_whether_and_when_it_is_asked():
    health = a_health()
    assert health.status(0) == "healthy"
    ticket = health.breaker.admit(0)
    assert ticket is not None
    health.breaker.failed(ticket, 0)
    assert health.status(0) == "degraded"
    health.rests_until_s = 5
    assert (health.status(4), health.status(5)) == ("unhealthy", "degraded")
    for _ in range(4):
        health.breaker.failed(health.breaker.admit(6) or 0, 6)
    assert (health.status(7), health.status(36)) == ("unhealthy", "degraded")


def test_an_ejected_one_is_asked_last():
    health = a_health()
    health.ejected_until_s = 5
    assert (health.status(4), health.status(5)) == ("degraded", "healthy")
