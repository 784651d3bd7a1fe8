"""Having a log stamped by a real authority: what is asked, what is kept, and that one that is down or lies is only said."""

import subprocess

import pytest
from support.authority import TimestampAuthority, serving
from support.trees import GrowingLog
from support.wire import wait_until

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.timestamp import Authority, request
from jupiter_addons.storage.errands import RETRY_S, Errands
from jupiter_addons.storage.evidence_stamped import Stamps
from jupiter_addons.storage.evidence_timestamping import Timestamping
from jupiter_addons.storage.timestamp_client import TimestampClient

KEY = from_seed("log", b"\x01" * 32)
ORIGIN = "jupiter/1"


class ALog:
    """A log that grows when told to."""

    def __init__(self) -> None:
        self.growing = GrowingLog(ORIGIN, KEY, "")
        self.size = 5

    @property
    def checkpoint(self) -> str:
        return self.growing.signed(self.size) if self.size else ""


class Direct:
    """An authority without a network, that may be made to fail or lie."""

    def __init__(self, tsa: TimestampAuthority) -> None:
        self.tsa = tsa
        self.lies: list[object] = []
        self.asked = 0

    def ask(self, query: bytes) -> bytes:
        self.asked += 1
        lie = self.lies.pop(0) if self.lies else None
        if isinstance(lie, Exception):
            raise lie
        return lie if isinstance(lie, bytes) else self.tsa.answer(query)


@pytest.fixture(scope="module")
def tsa(tmp_path_factory):
    return TimestampAuthority(tmp_path_factory.mktemp("tsa"))


def stamping(tmp_path, tsa, log, client, every_s=600.0) -> tuple[Timestamping, Stamps, list[str]]:
    stamps, results = Stamps(tmp_path / "anchors"), list[str]()
    authority = Authority(tsa.root.read_bytes())
    errand = Timestamping(log, stamps, authority, client, name="https://tsa", every_s=every_s, counted=results.append)
    return errand, stamps, results


def test_each_newest_checkpoint_is_stamped_once_and_kept(tmp_path, tsa):
    log, client = ALog(), Direct(tsa)
    one, stamps, results = stamping(tmp_path, tsa, log, client)
    for size in (5, 5, 9):
        log.size = size
        assert one.step() == 600.0
    assert ([kept.size for kept in stamps.all()], client.asked, results) == ([5, 9], 2, ["ok", "ok"])
    for kept in stamps.all():
        assert kept.note == log.growing.signed(kept.size).encode()
        assert Authority(tsa.root.read_bytes()).opened(kept.response, kept.note).authority == "CN=tsa,O=Tests"


def test_what_is_kept_is_what_openssl_verifies(tmp_path, tsa):
    one, stamps, _ = stamping(tmp_path, tsa, ALog(), Direct(tsa))
    one.step()
    [kept] = stamps.all()
    command = ["openssl", "ts", "-verify", "-data", str(kept.path.with_suffix(".checkpoint")), "-in", str(kept.path)]
    done = subprocess.run([*command, "-CAfile", str(tsa.root)], capture_output=True, text=True, check=False)
    assert (done.returncode, "Verification: OK" in done.stdout + done.stderr) == (0, True), done.stderr


def test_a_log_without_a_checkpoint_is_not_stamped(tmp_path, tsa):
    log, client = ALog(), Direct(tsa)
    log.size = 0
    stamping(tmp_path, tsa, log, client)[0].step()
    assert client.asked == 0


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (lambda tsa: StoreError("it gives no answer"), "it gives no answer"),
        (lambda tsa: b"<html>", "is not kept: response"),
        (lambda tsa: tsa.answer(request(ALog().checkpoint.encode()).der), "is not kept: nonce"),
        (lambda tsa: tsa.answer(request(b"other").der), "is not kept: imprint"),
    ],
    ids=["away", "nonsense", "an old answer", "an answer about something else"],
)
def test_an_authority_that_is_down_or_lies_is_said_once_and_asked_again_later(tmp_path, tsa, caplog, lie, said):
    client = Direct(tsa)
    one, stamps, results = stamping(tmp_path, tsa, ALog(), client)
    client.lies = [lie(tsa), lie(tsa)]
    assert [one.step(), one.step()] == [2 * RETRY_S, 4 * RETRY_S]
    assert list(stamps.all()) == []
    assert caplog.text.count("the evidence log is not timestamped by `https://tsa`") == 1
    assert said in caplog.text
    assert {one.levelname for one in caplog.records} == {"WARNING"}
    assert one.step() == 600.0
    assert ([kept.size for kept in stamps.all()], results) == ([5], ["failed", "failed", "ok"])


def test_an_authority_that_nobody_has_named_stamps_nothing(tmp_path, tsa, caplog):
    other = TimestampAuthority(tmp_path / "other")
    one, stamps, _ = stamping(tmp_path, tsa, ALog(), Direct(other))
    one.step()
    assert list(stamps.all()) == []
    assert "is not kept: authority" in caplog.text


def test_it_is_done_beside_everything_else_and_the_last_checkpoint_is_stamped_at_the_end(tmp_path, tsa):
    log = ALog()
    with serving(tsa.granted) as url:
        one, stamps, _ = stamping(tmp_path, tsa, log, TimestampClient(url))
        running = Errands()
        running.start([one])
        assert wait_until(lambda: [kept.size for kept in stamps.all()] == [5], 30)
        log.size = 100
        running.stop()
    assert wait_until(lambda: [kept.size for kept in stamps.all()] == [5, 100], 30)
