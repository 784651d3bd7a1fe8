"""The thread that empties a spool: it comes back after every failure, and ends when it is told to."""

import time

import pytest
from support.wire import wait_until

from jupiter_addons.errors import StoreError
from jupiter_addons.storage import evidence_drain
from jupiter_addons.storage.evidence_drain import Drain


class Server:
    """A server that fails so often, then takes so many batches."""

    def __init__(self, failures: int, batches: int) -> None:
        self.failures, self.batches, self.reconnected = failures, batches, 0

    def reconnect(self) -> None:
        self.reconnected += 1
        if self.failures:
            self.failures -= 1
            raise StoreError("away")

    def send_some(self) -> bool:
        self.batches = max(self.batches - 1, 0)
        return self.batches > 0


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(evidence_drain, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(evidence_drain, "LONGEST_PAUSE_S", 0.02)


def test_it_tries_until_all_is_sent_then_sleeps_until_it_is_wanted_again():
    server = Server(failures=3, batches=5)
    drain = Drain(server.reconnect, server.send_some)
    drain.begin()
    wait_until(lambda: server.batches == 0)
    assert server.reconnected == 4
    server.batches = 2
    time.sleep(0.05)
    assert server.reconnected == 4
    drain.begin()
    wait_until(lambda: server.batches == 0)
    drain.end()
    assert server.reconnected == 5


def test_a_fault_of_ours_does_not_end_it(caplog):
    server = Server(failures=0, batches=1)
    calls = []

    def send_some() -> bool:
        calls.append(1)
        if len(calls) < 3:
            raise ZeroDivisionError
        return server.send_some()

    drain = Drain(server.reconnect, send_some)
    drain.begin()
    wait_until(lambda: server.batches == 0)
    drain.end()
    assert caplog.text.count("draining the spool failed") == 2


def test_it_ends_while_the_server_is_away():
    server = Server(failures=10**9, batches=1)
    drain = Drain(server.reconnect, server.send_some)
    drain.begin()
    started_s = time.monotonic()
    drain.end()
    assert time.monotonic() - started_s < 5
    with pytest.raises(StoreError, match="away"):
        drain.once()
