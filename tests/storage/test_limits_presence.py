"""One process has a database to itself, or several share it, and nobody has to be restarted for one to become the other."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.limits_presence import Presence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.db-steps"


@pytest.fixture
def come(path: Path) -> Iterator[Callable[[], Presence]]:
    here: list[Presence] = []

    def make() -> Presence:
        here.append(Presence(path))
        return here[-1]

    yield make
    for one in here:
        one.close()


def test_who_is_alone_keeps_others_out_until_they_give_up(come: Callable[[], Presence]):
    a, b = come(), come()
    assert a.be_alone()
    assert a.be_alone()
    assert not b.be_alone()
    with pytest.raises(StoreError, match="does not give way"):
        b.share(0.05)


def test_who_is_alone_sees_that_another_waits_and_lets_it_in(come: Callable[[], Presence]):
    a, b = come(), come()
    assert a.be_alone()
    assert not a.is_wanted
    waits = threading.Thread(target=b.share, args=(30,))
    waits.start()
    while not a.is_wanted:
        time.sleep(0.01)
    a.share(0)
    waits.join(30)
    assert not waits.is_alive()
    assert not a.is_wanted


def test_who_has_given_up_waiting_is_forgotten(come: Callable[[], Presence], path: Path):
    a, b = come(), come()
    assert a.be_alone()
    with pytest.raises(StoreError):
        b.share(0.05)
    assert a.is_wanted
    long_ago = time.time() - 60
    os.utime(path.with_name("limits.db-steps-wanted"), (long_ago, long_ago))
    assert not a.is_wanted
    not_yet = time.time() + 60  # the clock was set back since
    os.utime(path.with_name("limits.db-steps-wanted"), (not_yet, not_yet))
    assert not a.is_wanted


def test_nobody_is_alone_among_several_and_the_last_one_is(come: Callable[[], Presence], path: Path):
    a, b = come(), Presence(path)
    a.share(0)
    b.share(0)
    assert not a.be_alone()
    assert not b.be_alone()
    b.close()
    assert a.be_alone()


def test_a_failed_attempt_to_be_alone_loses_nothing(come: Callable[[], Presence]):
    a, b, c = come(), come(), come()
    a.share(0)
    b.share(0)
    assert not a.be_alone()
    assert not c.be_alone()  # a still shares it
    b.share(0)


def test_a_process_that_is_killed_was_alone_until_then(come: Callable[[], Presence], path: Path):
    program = (
        "import sys, time, pathlib; from jupiter_addons.storage.limits_presence import Presence;"
        "print(Presence(pathlib.Path(sys.argv[1])).be_alone(), flush=True) or time.sleep(60)"
    )
    program = program.replace(
        "print(Presence(pathlib.Path(sys.argv[1]))", "p = Presence(pathlib.Path(sys.argv[1])); print(p"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"True\n"
    a = come()
    assert not a.be_alone()
    process.kill()
    process.wait(30)
    process.stdout.close()
    assert a.be_alone()


def test_where_there_are_no_such_locks_nobody_is_alone(come: Callable[[], Presence], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jupiter_addons.storage.limits_presence._SET_LOCK", None)
    a, b = come(), come()
    assert not a.be_alone()
    a.share(0)
    b.share(0)


def test_a_file_that_was_taken_away_is_noticed(come: Callable[[], Presence], path: Path):
    a = come()
    assert a.is_there
    path.unlink()
    assert not a.is_there
    path.touch()
    assert not a.is_there
