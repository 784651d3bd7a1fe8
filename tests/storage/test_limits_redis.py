"""Counters in a real Redis: what is lost is noticed, what cannot be trusted is refused, and the clock is the server's."""

import logging
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest
from support.redis import RedisServer, needs_redis, shared_server
from support.trial import Clocks, Trial

from jupiter_addons.addresses import redis_address
from jupiter_addons.errors import StoreError
from jupiter_addons.limits.store import MAX_AMOUNT, Bucket, Counter, Held, Period, Short, Sliding, Slots, Take, Taken
from jupiter_addons.storage import redis_connection
from jupiter_addons.storage.limits_redis import RedisStore
from jupiter_addons.storage.redis_connection import RefusedError

pytestmark = needs_redis

MINUTE = Counter("user:alice", "requests", Sliding(60))
MONTH = Counter("team:lab", "nusd", Period("2026-09@UTC", None))
RUNNING = Counter("user:alice", "calls", Slots())


class Gateway(Trial):
    """A store as one process of a gateway has it, on the server's clock."""

    def __init__(self, server: RedisServer, name: str, member: str = "one", max_subjects: int = 1_000_000) -> None:
        super().__init__(RedisStore(redis_address(server.url), name, member, max_subjects=max_subjects), Clocks())

    def fails(self, match: str) -> float:
        began = time.monotonic()
        with pytest.raises(StoreError, match=match):
            self.reserve(uuid.uuid4().hex, [Take(MONTH, 1, 100)])
        return time.monotonic() - began


def after_the_pause() -> None:
    time.sleep(redis_connection.PAUSE_S)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def store(name: str) -> Iterator[Gateway]:
    made = Gateway(shared_server(), name)
    made.restore()
    yield made
    made.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path / "redis", ("--appendonly", "no")).start()
    yield made
    made.kill()


@pytest.fixture
def alone(server: RedisServer, name: str) -> Iterator[Gateway]:
    """A gateway with a server that the test may harm."""
    made = Gateway(server, name)
    made.restore()
    yield made
    made.close()


def test_time_is_the_servers_and_who_waits_as_told_is_admitted(store: Gateway):
    second = Counter("user:alice", "requests", Sliding(1))
    store.clocks.forward(10**6)  # whose own clock is wrong
    store.held("c", Take(second, 1, 1))
    short = store.short("d", Take(second, 1, 1))
    assert 0 < short.retry_after_s <= 1.1
    time.sleep(short.retry_after_s)
    store.held("e", Take(second, 1, 1))


def test_a_lease_runs_out_by_the_servers_clock(store: Gateway):
    store.held("c", Take(RUNNING, 1, 1), Take(MONTH, 7, 9), lease_s=0.2)
    assert store.tend() == []
    time.sleep(0.25)
    (expired,) = store.tend()
    assert (expired.call_id, expired.takes) == ("c", ((RUNNING, 1), (MONTH, 7)))
    store.held("d", Take(RUNNING, 1, 1))


def test_what_is_empty_the_server_forgets_by_itself(store: Gateway, name: str):
    second = Counter("user:alice", "requests", Sliding(1))
    bucket = Counter("user:alice", "requests", Bucket(1))
    day = Counter("team:lab", "nusd", Period("2026-09-01@UTC", store.clocks.wall - 86_400))
    store.store._wall_s = store.clocks.wall_s
    store.held("c", Take(second, 1, 9), Take(bucket, 1, 9, 9), Take(day, 1, 9), Take(RUNNING, 1, 9))
    store.settle("c", 1, 1, 1, 1)
    time.sleep(2.4)
    left = shared_server().ask("KEYS", f"{{jupiter:{name}}}:*")
    assert left == [f"{{jupiter:{name}}}:epoch".encode()]


def test_all_keys_have_one_hash_tag(store: Gateway):
    store.held("c", Take(MINUTE, 1, 9), Take(MONTH, 1, 9))
    assert all(key.startswith(b"{jupiter:") for key in shared_server().ask("KEYS", "*"))


def test_the_largest_amounts_are_kept_exactly_and_extended_and_given_back(store: Gateway):
    odd = MAX_AMOUNT - 4
    store.held("c", Take(MINUTE, odd, MAX_AMOUNT), Take(MONTH, odd, MAX_AMOUNT))
    assert store.extend("c", 3, 3) == Held("c", (1, 1))
    assert store.count(MONTH) == (MAX_AMOUNT - 1, MAX_AMOUNT - 1)
    store.settle("c", 10**15 + 1, 10**15 + 1)
    assert [store.taken(MINUTE), store.taken(MONTH)] == [10**15 + 1, 10**15 + 1]


def test_a_bucket_too_large_for_exact_numbers_lets_no_more_through(name: str):
    clocks = Clocks()
    store = Trial(RedisStore(redis_address(shared_server().url), name, "one", steady_ns=clocks.steady_ns), clocks)
    store.restore()
    tokens = Counter("team:lab", "tokens", Bucket(86_400))
    rate = 10**9
    store.held("c", Take(tokens, 2 * rate, 2 * rate, rate))
    clocks.forward(43_200.5)
    refilled = 2 * rate - store.taken(tokens)
    assert rate * 43_200.5 / 86_400 - 10 <= refilled <= rate * 43_200.5 / 86_400
    store.close()


def test_too_many_made_up_subjects_are_counted_together(name: str):
    store = Gateway(shared_server(), name, max_subjects=3)
    store.restore()
    takes = [Take(Counter(f"rule:r:{n}", "requests", Sliding(60), crowd="rule:r"), 1, 2) for n in range(6)]
    outcomes = [type(store.reserve(f"c{n}", [take])).__name__ for n, take in enumerate(takes)]
    assert outcomes == ["Held"] * 5 + ["Short"]
    store.settle("c3", 0)
    assert isinstance(store.reserve("given back to the crowd", [takes[5]]), Held)
    store.close()


def test_gateways_of_other_names_count_apart_and_processes_of_one_together(store: Gateway, name: str):
    other, same = Gateway(shared_server(), name + "x"), Gateway(shared_server(), name, "two")
    for one in (other, same):
        one.restore()
    store.held("c", Take(MONTH, 9, 9))
    other.held("c", Take(MONTH, 9, 9))
    assert isinstance(same.reserve("d", [Take(MONTH, 1, 9)]), Short)
    assert same.settle("c", 0)
    same.held("d", Take(MONTH, 1, 9))
    other.close()
    same.close()


# -- loss -------------------------------------------------------------------------------------------------------------


def test_a_server_that_is_new_is_not_believed_until_it_is_told_what_was_taken(name: str):
    store = Gateway(shared_server(), name)
    store.fails("does not know what was taken")
    assert store.store.is_lost
    store.restore(Taken(MONTH, 8, 100.0), Taken(MINUTE, 5, 30.0), Taken(MINUTE, 7, 70.0))
    assert not store.store.is_lost
    assert [store.taken(MONTH), store.taken(MINUTE)] == [8, 5]
    with pytest.raises(StoreError, match="knows already"):
        store.restore(Taken(MONTH, 8, 100.0))
    store.close()


def test_a_server_that_was_emptied_is_found_out_at_the_next_call_whatever_it_is(alone: Gateway, server: RedisServer):
    alone.held("c", Take(MONTH, 50, 100))
    server.ask("FLUSHALL")
    for ask in (
        lambda: alone.reserve("d", [Take(MONTH, 1, 100)]),
        lambda: alone.extend("c", 1),
        lambda: alone.settle("c", 1),
        lambda: alone.renew(["c"]),
        lambda: alone.count(MONTH),
        alone.tend,
        alone.open_calls,
    ):
        with pytest.raises(StoreError, match="does not know what was taken"):
            ask()
    alone.restore(Taken(MONTH, 50, 10.0))
    assert alone.short("d", Take(MONTH, 51, 100)).lacking[0].remaining == 50


def test_after_a_loss_every_process_tells_its_own_part_and_waits_for_the_others(
    alone: Gateway, server: RedisServer, name: str
):
    other = Gateway(server, name, "two")
    other.restore()
    for one in (alone, other):
        one.tend()
    server.ask("FLUSHALL")
    alone.restore(Taken(MONTH, 40, 10.0))
    alone.fails("is being told")
    other.fails("does not know")
    other.restore(Taken(MONTH, 50, 10.0))
    alone.tend()
    assert alone.short("c", Take(MONTH, 11, 100)).lacking[0].remaining == 10
    other.close()


def test_a_process_that_does_not_come_back_is_not_waited_for_for_ever(alone: Gateway, server: RedisServer, name: str):
    other = Gateway(server, name, "two")
    other.restore()
    other.close()
    alone.tend()
    server.ask("FLUSHALL")
    alone.restore()
    alone.fails("is being told")
    alone.store._awaited_until_s = 0.0
    alone.held("c", Take(MONTH, 1, 100))


# -- faults -----------------------------------------------------------------------------------------------------------


def test_a_server_that_is_killed_costs_little_and_comes_back_lost(alone: Gateway, server: RedisServer):
    alone.held("c", Take(MONTH, 50, 100))
    server.kill()
    assert max(alone.fails("cannot be used|moment ago") for _ in range(50)) < 0.6
    server.start()
    after_the_pause()
    alone.fails("does not know what was taken")


def test_a_server_with_its_data_on_disk_comes_back_as_it_was(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
):
    server = RedisServer(tmp_path / "redis", ("--appendonly", "yes", "--appendfsync", "always")).start()
    store = Gateway(server, name)
    store.restore()
    assert "appendonly" not in caplog.text
    store.held("c", Take(MONTH, 50, 100))
    server.kill()
    server.start()
    after_the_pause()
    try:
        store.fails("cannot be used|moment ago")
        after_the_pause()
        assert store.count(MONTH) == (50, 50)
    finally:
        store.close()
        server.kill()


def test_a_server_that_hangs_costs_little_and_is_used_again_when_it_goes_on(alone: Gateway, server: RedisServer):
    alone.held("c", Take(MONTH, 50, 100))
    server.signal(signal.SIGSTOP)
    assert max(alone.fails("did not answer|moment ago|connected") for _ in range(50)) < 0.6
    server.signal(signal.SIGCONT)
    after_the_pause()
    assert alone.settle("c", 20)
    assert alone.count(MONTH).held <= 1  # what nobody heard of is given back when its lease runs out


def test_scripts_that_the_server_has_forgotten_are_told_again(alone: Gateway, server: RedisServer):
    alone.held("c", Take(MONTH, 50, 100))
    server.ask("SCRIPT", "FLUSH")
    assert alone.settle("c", 20)


def test_a_server_without_memory_refuses_and_takes_nothing(alone: Gateway, server: RedisServer):
    alone.held("c", Take(MONTH, 50, 100))
    server.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(RefusedError, match="OOM"):
        alone.reserve("d", [Take(MONTH, 1, 100)])
    server.ask("CONFIG", "SET", "maxmemory", "0")
    assert alone.count(MONTH) == (50, 50)


def test_a_server_that_has_become_a_replica_is_left_until_it_is_none(alone: Gateway, server: RedisServer):
    alone.held("c", Take(MONTH, 50, 100))
    server.ask("REPLICAOF", "127.0.0.1", "1")
    alone.fails("READONLY")
    after_the_pause()
    alone.fails("replica")
    server.ask("REPLICAOF", "NO", "ONE")
    after_the_pause()
    assert alone.count(MONTH) == (50, 50)


def test_a_script_of_somebody_else_that_runs_on_is_an_outage(alone: Gateway, server: RedisServer):
    alone.held("c", Take(MONTH, 50, 100))
    server.ask("CONFIG", "SET", "busy-reply-threshold", "1")

    def go_on_for_ever() -> None:
        with pytest.raises(hiredis.ReplyError, match="killed"):
            server.ask("EVAL", "while true do end", 0)

    endless = threading.Thread(target=go_on_for_ever)
    endless.start()
    time.sleep(0.1)
    assert alone.fails("BUSY|did not answer") < 0.6
    server.ask("SCRIPT", "KILL")
    endless.join()
    after_the_pause()
    assert alone.count(MONTH) == (50, 50)


def test_a_server_that_forgets_counters_when_memory_is_short_is_refused_by_the_name_of_its_option(
    alone: Gateway, server: RedisServer, name: str
):
    server.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    store = Gateway(server, name)
    store.fails("maxmemory-policy allkeys-lru.*hint: set it to noeviction")
    store.close()


def test_a_server_that_keeps_nothing_is_used_with_a_warning(
    alone: Gateway, server: RedisServer, name: str, caplog: pytest.LogCaptureFixture
):
    store = Gateway(server, name)
    with caplog.at_level(logging.WARNING):
        store.count(MONTH)
    assert "appendonly no" in caplog.text
    store.close()


def test_a_password_is_told_to_the_server_and_to_nobody_else(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
):
    server = RedisServer(tmp_path / "redis", ("--requirepass", "s3cret-phrase")).start()
    try:
        for password, outcome in (("s3cret-phrase", None), ("wr0ng-phrase", "WRONGPASS"), (None, "NOAUTH")):
            user = "" if password is None else f":{password}@"
            where = redis_address(f"redis://{user}127.0.0.1:{server.port}/0")
            store = Trial(RedisStore(where, name, password or "none"), Clocks())
            if outcome is None:
                store.restore()
                store.held("c", Take(MONTH, 1, 9))
            else:
                with pytest.raises(StoreError, match=outcome) as caught:
                    store.restore()
                assert "phrase" not in str(caught.value)
            store.close()
        assert "phrase" not in caplog.text
    finally:
        server.kill()
