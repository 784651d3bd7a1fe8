"""A thousand calls at once with money for a hundred, in every store, by as many processes as may use it, some of them killed."""

import asyncio
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.history import History
from support.redis import needs_redis, shared_server
from support.spender import BUDGET, RUNNING, Spender, Spending, opened, seeded
from support.trial import Clocks, Trial

from jupiter_addons.storage import redis_connection

PROGRAM = Path(__file__).parents[1] / "support/spender.py"
SHARED = [pytest.param("sqlite", id="sqlite"), pytest.param("redis", id="redis", marks=needs_redis)]

pytestmark = pytest.mark.slow


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = uuid.uuid4().hex
    return f"sqlite:{tmp_path}/limits.db" if request.param == "sqlite" else f"{shared_server().url}#{name}"


def started(what: Spending) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(PROGRAM), str(what)])


def run_and_kill(what: Spending, enough: int, later_s: float = 0.0) -> None:
    """Have a process spend, and kill it in the middle: when it has been given more than so many holds."""
    process, history, deadline = started(what), Path(what.history), time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if history.exists() and history.read_text().count("held") > enough:
            break
        time.sleep(0.01)
    time.sleep(later_s)
    process.send_signal(signal.SIGKILL)
    process.wait(60)


def check_left(trial: Trial, history: History, what: Spending) -> None:
    """Check that, once all leases have run out, nothing is held, and that what counts is what was spent."""
    deadline = time.monotonic() + 60
    while trial.open_calls() and time.monotonic() < deadline:
        trial.tend()
        time.sleep(0.1)
    count = trial.count(BUDGET)
    assert (count.held, trial.open_calls(), trial.taken(RUNNING)) == (0, 0, 0)
    assert history.least_left <= count.taken <= min(history.most_left, what.limit)


def plan(url: str, tmp_path: Path, **more: object) -> Iterator[Spending]:
    for name in ("a", "b"):
        yield Spending(url, name, 500, str(tmp_path / f"{name}.history"), **more)  # type: ignore[arg-type]


@pytest.fixture
def trial(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trial]:
    """The store, looked at by the test."""
    monkeypatch.setattr(redis_connection, "LIMIT_S", 10.0)
    made = Trial(opened(url, "looks"), Clocks())
    made.answer(seeded(made.store))
    yield made
    made.close()


def test_nothing_is_overspent_and_nothing_held_in_memory(tmp_path: Path):
    what = replace(next(plan("memory:", tmp_path)), calls=1000)
    trial = Trial(opened("memory:", "one"), Clocks())
    asyncio.run(Spender(what, trial.store).run())
    history = History.read([Path(what.history)])
    assert history.most <= what.limit
    assert trial.count(BUDGET) == (history.least_left, 0)
    assert trial.taken(RUNNING) == 0
    assert len(history.calls("held")) >= 100


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_nothing_is_overspent_and_nothing_held_by_two_processes(url: str, trial: Trial, tmp_path: Path):
    plans = list(plan(url, tmp_path))
    processes = [started(one) for one in plans]
    assert [process.wait(120) for process in processes] == [0, 0]
    history = History.read(Path(one.history) for one in plans)
    assert history.most <= plans[0].limit
    assert not history.calls("fails")
    assert trial.count(BUDGET) == (history.least_left, 0)
    assert trial.open_calls() == trial.taken(RUNNING) == 0


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_as_much_is_admitted_as_there_is_money_for(url: str, trial: Trial, tmp_path: Path):
    """Calls that come to what they were estimated at, so that one after the other exactly a hundred would be admitted."""
    plans = list(plan(url, tmp_path, exact=True))
    processes = [started(one) for one in plans]
    assert [process.wait(120) for process in processes] == [0, 0]
    history = History.read(Path(one.history) for one in plans)
    assert 98 <= len(history.calls("held")) <= 100
    assert trial.count(BUDGET) == (history.least_left, 0)


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_process_that_is_killed_ten_times_makes_no_money(url: str, trial: Trial, tmp_path: Path):
    """What it held counts as taken when its leases have run out, and its slots are free."""
    what = next(plan(url, tmp_path, limit=400_000, at_once=20, lasts_s=0.02, lease_s=1.5))
    steady = replace(what, name="b", calls=1500, history=str(tmp_path / "b.history"), lease_s=60.0)
    other, histories = started(steady), [Path(steady.history)]
    most_seen = 0
    dice = random.Random(11)
    for number in range(10):
        one = replace(what, name=f"a.{number}", history=str(tmp_path / f"a{number}.history"))
        histories.append(Path(one.history))
        run_and_kill(one, dice.randrange(5, 15), dice.uniform(0, 0.05))
        most_seen = max(most_seen, trial.taken(BUDGET))
    assert other.wait(120) == 0
    history = History.read(histories)
    assert max(most_seen, history.most) <= what.limit
    check_left(trial, history, what)


def test_a_process_that_is_alone_and_killed_ten_times_makes_no_money(tmp_path: Path):
    """What it counted was in its journal, and the next one has taken it over."""
    url = f"alone:{tmp_path}/limits.db"
    what = next(plan(url, tmp_path, limit=400_000, at_once=20, lasts_s=0.02, lease_s=1.5))
    histories, dice = [], random.Random(12)
    for number in range(10):
        one = replace(what, name=f"a.{number}", history=str(tmp_path / f"a{number}.history"))
        histories.append(Path(one.history))
        run_and_kill(one, dice.randrange(5, 60))
    history = History.read(histories)
    assert history.most <= what.limit
    assert len(history.calls("settled")) > 100
    trial = Trial(opened(url, "looks"), Clocks())
    check_left(trial, history, what)
    trial.close()
