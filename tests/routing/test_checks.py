"""Health checks: what they do to a breaker, when they do not have the last word, when they come and what they ask."""

import orjson
import pytest

from jupiter_addons.dialects.registry import PARSERS
from jupiter_addons.dialects.strict import scan
from jupiter_addons.routing.breaker import BreakerRules
from jupiter_addons.routing.checks import JITTER, CheckRules, asked, checked, key_id, wait_s
from jupiter_addons.routing.plan import RoutingRules, Wanted, plan
from jupiter_addons.routing.provider import DIALECTS, Provider, Timeouts
from jupiter_addons.routing.state import RoutingState, StateRules

A = ("a", "m")
RULES = CheckRules("m", interval_s=10, healthy_after=2, unhealthy_after=3)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock) -> RoutingState:
    return RoutingState(StateRules(), clock, lambda: 0.5)


def check(state: RoutingState, *results: bool) -> None:
    for well in results:
        lease = state.lease(A, check=RULES)
        assert lease is not None
        assert not lease.is_probe
        lease.answered(0.1) if well else lease.failed("timeout")


def call(state: RoutingState, *results: bool) -> None:
    for well in results:
        lease = state.lease(A)
        assert lease is not None
        lease.answered(0.1) if well else lease.failed("status 500")


def an_open_one(state: RoutingState) -> None:
    call(state, *[False] * 5)
    assert state.seen(A).breaker == "open"


def test_bad_checks_in_a_row_open_a_breaker_before_callers_have_to(state):
    check(state, False, False, True, False, False)
    assert state.seen(A).breaker == "closed"
    check(state, False)
    assert state.seen(A).breaker == "open"
    assert state.lease(A) is None


def test_bad_checks_and_bad_calls_are_counted_together(state):
    call(state, False, False, False)
    check(state, False, False)
    assert state.seen(A).breaker == "open"


def test_good_checks_in_a_row_close_a_breaker_long_before_its_time(state, clock):
    an_open_one(state)
    clock.now_s += 1
    check(state, True, False, True)
    assert state.seen(A).breaker == "open"
    check(state, True)
    assert state.seen(A).breaker == "closed"
    assert state.seen(A).consecutive_failures == 0
    assert state.lease(A) is not None


def test_a_bad_check_keeps_a_breaker_open_until_the_next_one_and_no_caller_is_the_probe_meanwhile(state, clock):
    an_open_one(state)
    clock.now_s += 29
    check(state, False)
    clock.now_s += 2
    assert state.lease(A) is None
    clock.now_s += 24
    assert state.lease(A) is not None, "checks that have stopped left a provider alone for ever"


def test_a_check_and_a_callers_probe_do_not_wait_for_each_other(state, clock):
    an_open_one(state)
    clock.now_s += 31
    probe = state.lease(A)
    assert probe is not None
    check(state, True, True)
    assert state.seen(A).breaker == "closed"
    probe.failed("status 500")
    assert state.seen(A).consecutive_failures == 1


def test_when_calls_open_again_what_checks_had_closed_checks_close_nothing_until_a_call_succeeds(state, clock):
    an_open_one(state)
    check(state, True, True)
    an_open_one(state)
    check(state, *[True] * 10)
    assert state.seen(A).breaker == "open", "checks that are deceived had the last word"
    clock.now_s += 100
    call(state, True, True)
    assert state.seen(A).breaker == "closed"
    an_open_one(state)
    check(state, True, True)
    assert state.seen(A).breaker == "closed"


def test_checks_do_not_lift_an_ejection(state, clock):
    state.health(A).ejected_until_s = clock.now_s + 30
    check(state, True, True, True)
    assert state.seen(A).status == "degraded"


def test_a_provider_that_asks_to_be_left_alone_is_not_checked(state, clock):
    lease = state.lease(A, check=RULES)
    assert lease is not None
    lease.turned_away(7)
    assert state.lease(A, check=RULES) is None
    assert state.wait_s(A, check=True) == 7
    assert state.seen(A).breaker == "closed"


def test_without_breakers_checks_watch_and_open_nothing(clock):
    state = RoutingState(StateRules(breaker=BreakerRules(enabled=False)), clock, lambda: 0.5)
    check(state, *[False] * 10)
    assert state.seen(A).breaker == "closed"
    assert state.health(A).checked is not None


def test_changes_by_checks_are_told_once_each(state):
    told = []
    state.notify = lambda change, pair: told.append((change, pair))
    check(state, *[False] * 6, *[True] * 3)
    assert told == [("open", A), ("closed", A)]


def test_what_a_check_found_and_how_a_call_failed_is_remembered(state, clock):
    check(state, True)
    clock.now_s += 5
    call(state, False)
    health = state.health(A)
    assert health.checked is not None
    assert health.last_failure is not None
    assert (health.checked.well, health.checked.at_s) == (True, 1000.0)
    assert (health.last_failure.reason, health.last_failure.at_s) == ("status 500", 1005.0)


def test_checks_come_about_an_interval_apart_and_the_first_one_within_the_first():
    for dice in (0.0, 0.5, 0.999):
        assert abs(wait_s(RULES, lambda d=dice: d) - 10) <= 10 * JITTER
        assert 0 <= wait_s(RULES, lambda d=dice: d, first=True) < 10


def a_provider(kind="openai", name="a", **more) -> Provider:
    return Provider(name, kind, "https", "h", 443, "", ("m",), **more)


@pytest.mark.parametrize("kind", list(DIALECTS))
def test_a_check_is_a_valid_call_of_one_output_token_in_a_dialect_that_its_provider_speaks(kind):
    wanted = asked(a_provider(kind), "m")
    dialect = {"/v1/chat/completions": "openai_chat", "/v1/messages": "anthropic_messages", "/api/chat": "ollama_chat"}
    spoken = dialect[wanted.path]
    assert spoken in DIALECTS[kind]
    read = PARSERS[spoken](scan(orjson.dumps(wanted.body)))
    assert (read.model, read.max_tokens, read.stream) == ("m", 1, False)


def test_a_check_goes_to_its_provider_alone_once_and_past_an_open_breaker(state):
    checked_one = a_provider(check=RULES, priority=9)
    providers = (checked_one, a_provider(name="b"))
    an_open_one(state)
    wanted = Wanted("m", "openai_chat", only="a", check=True)
    route = plan(wanted, providers, RoutingRules(rounds=3), state)
    assert [candidate.name for candidate in route.candidates] == ["a"]
    assert route.strategy == "health-check"
    for_callers = plan(Wanted("m", "openai_chat"), providers, RoutingRules(), state)
    assert [candidate.name for candidate in for_callers.candidates] == ["b"]


def test_a_check_has_the_patience_that_is_written_for_it_or_the_providers_own_if_that_is_less():
    rules = CheckRules("m", timeout_s=2)
    provider = a_provider(check=rules, timeouts=Timeouts(connect=1, first_byte=60))
    assert provider.as_checked.timeouts == Timeouts(1, 2, 2, 2, 600)
    assert a_provider().as_checked == a_provider()


@pytest.mark.parametrize("name", ["a", "my-provider_2"])
def test_the_record_tells_whose_check_it_is_and_no_real_key_looks_like_one(name):
    assert checked(key_id(name)) == name
    assert checked("abcdefghij12") is None
