"""Asking others again and again: later and later if they fail, said once, and nobody waits for them."""

import threading
import time

from support.wire import wait_until

from jupiter_addons.errors import StoreError
from jupiter_addons.storage import errands
from jupiter_addons.storage.errands import LONGEST_S, RETRY_S, Errand, Errands


class An(Errand):
    """An errand that goes as it is told to: True, False, or an error."""

    def __init__(self, *going: bool | Exception, every_s: float = 600.0) -> None:
        self.results: list[str] = []
        super().__init__("seen to", every_s, self.results.append)
        self.going = list(going)
        self.asked = 0

    def ask(self) -> bool:
        self.asked += 1
        found = self.going.pop(0) if self.going else True
        if isinstance(found, Exception):
            raise found
        return found


def test_what_goes_well_waits_for_its_time_and_what_fails_is_tried_sooner_and_then_later_and_later(caplog):
    errand = An(True, StoreError("away"), StoreError("away"), RuntimeError("unforeseen"), True, False)
    assert [errand.step() for _ in range(6)] == [600.0, 2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S, 600.0, 600.0]
    assert errand.results == ["ok", "failed", "failed", "failed", "ok"], "what is done already is not counted"
    assert caplog.text.count("the evidence log is not seen to: away") == 1
    assert caplog.text.count("the evidence log is seen to again") == 1
    assert {one.levelname for one in caplog.records} == {"WARNING"}, "an error would end a gateway that starts"


def test_nobody_is_left_alone_for_longer_than_a_minute():
    errand = An(*[StoreError("away")] * 40)
    assert [errand.step() for _ in range(40)][-1] == LONGEST_S


def test_at_the_end_it_is_asked_once_more_if_that_has_gone_well():
    well, failing, stopping = An(), An(*[StoreError("away")] * 3), threading.Event()
    stopping.set()
    well.run(stopping)
    failing.run(stopping)
    assert (well.asked, failing.asked) == (2, 1)


def test_each_runs_beside_the_others(monkeypatch):
    ours = [An(every_s=0.01), An(StoreError("away"), every_s=0.01), An(every_s=0.01)]
    monkeypatch.setattr(errands, "RETRY_S", 0.01)
    running = Errands()
    running.start(ours)
    assert wait_until(lambda: all(one.asked > 3 for one in ours), 30)
    running.stop()
    asked = [one.asked for one in ours]
    time.sleep(0.1)
    assert [one.asked for one in ours] == asked, "nothing is asked after the end"


def test_who_hangs_does_not_keep_the_gateway_from_ending(monkeypatch):
    over = threading.Event()

    class Hanging(An):
        def ask(self) -> bool:
            over.wait(60)
            raise StoreError("too late")

    monkeypatch.setattr(errands, "LAST_WORDS_S", 2)
    running = Errands()
    running.start(Hanging() for _ in range(4))
    started_s = time.monotonic()
    running.stop()
    took_s = time.monotonic() - started_s
    over.set()
    assert took_s < 6, "each has been waited for anew"
