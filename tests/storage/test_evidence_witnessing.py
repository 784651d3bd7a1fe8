"""Having a log witnessed: what is sent, what is believed, and that a witness that is down or lies is only said."""

import contextlib

import pytest
from support.trees import GrowingLog
from support.wire import wait_until
from support.witness import a_witness

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import note
from jupiter_addons.evidence.cosignature import Cosigner, cosign
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.witness import add_checkpoint
from jupiter_addons.storage import evidence_witnessing
from jupiter_addons.storage.errands import Errands
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.evidence_witnessing import Witnessing
from jupiter_addons.storage.witness_client import WitnessClient
from jupiter_addons.storage.witness_sqlite import WitnessStore

KEY = from_seed("log", b"\x01" * 32)
WITNESS = from_seed("witness.example/w1", b"\x02" * 32)
COSIGNER = Cosigner(WITNESS.public)
ORIGIN = "jupiter/1"


class ALog:
    """A log that grows when told to."""

    def __init__(self, flavour: str = "") -> None:
        self.growing = GrowingLog(ORIGIN, KEY, flavour)
        self.origin, self.size = ORIGIN, 5

    @property
    def checkpoint(self) -> str:
        return self.growing.signed(self.size) if self.size else ""

    def tree(self):
        return contextlib.nullcontext(self.growing)


class Direct:
    """A witness without a network, that may be made to fail or lie."""

    def __init__(self, path, logs=None) -> None:
        self.store = WitnessStore(path)
        self.logs = {ORIGIN: [KEY.public]} if logs is None else logs
        self.asked: list[bytes] = []
        self.lies: list[object] = []

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        self.asked.append(body)
        lie = self.lies.pop(0) if self.lies else None
        if isinstance(lie, Exception):
            raise lie
        if isinstance(lie, tuple):
            return lie
        answer = add_checkpoint(body, self.logs, self.store, WITNESS, 1000)
        return answer.status, answer.body.encode()


@pytest.fixture
def witness(tmp_path):
    made = Direct(tmp_path / "witness.db")
    yield made
    made.store.close()


def errand(tmp_path, log, witness) -> tuple[Witnessing, Cosigned]:
    cosigned = Cosigned(tmp_path / "anchors", [COSIGNER])
    return Witnessing(log, log.tree, cosigned, COSIGNER, witness), cosigned


def test_each_newest_checkpoint_is_cosigned_once_and_kept(tmp_path, witness):
    log = ALog()
    one, cosigned = errand(tmp_path, log, witness)
    for size in (5, 5, 9, 260):
        log.size = size
        assert one.step() == evidence_witnessing.STEP_S
        assert cosigned.read(ORIGIN, COSIGNER).head == log.growing.head(size)
    assert [body.partition(b"\n")[0] for body in witness.asked] == [b"old 0", b"old 5", b"old 9"]


def test_a_log_without_a_checkpoint_is_not_sent(tmp_path, witness):
    log = ALog()
    log.size = 0
    assert errand(tmp_path, log, witness)[0].step() == evidence_witnessing.STEP_S
    assert witness.asked == []


def test_after_a_restart_it_goes_on_from_what_was_kept_or_from_what_the_witness_says(tmp_path, witness):
    log = ALog()
    errand(tmp_path, log, witness)[0].step()
    log.size = 9
    errand(tmp_path, log, witness)[0].step()
    for path in (tmp_path / "anchors").iterdir():
        path.unlink()
    log.size = 12
    _, cosigned = again = errand(tmp_path, log, witness)
    again[0].step()
    assert [body.partition(b"\n")[0] for body in witness.asked] == [b"old 0", b"old 5", b"old 0", b"old 9"]
    assert cosigned.read(ORIGIN, COSIGNER).head.size == 12


HEAD = GrowingLog(ORIGIN, KEY).head(5)
LIES = {
    "away": StoreError("no answer"),
    "status 500": (500, b""),
    "not known": (404, b"log is not known"),
    "nonsense": (200, b"<html>"),
    "nothing": (200, b""),
    "a cosignature of another": (200, note.line(cosign(str(HEAD), from_seed("w2", b"\x03" * 32), 1)).encode()),
    "a cosignature of another root": (200, note.line(cosign("jupiter/1\n5\nAAAA\n", WITNESS, 1)).encode()),
    "its own key as a log's": (200, note.signature_line(str(HEAD), WITNESS).encode()),
    "a size that is none": (409, b"many\n"),
    "a size that is cut off": (409, b""),
    "split view": (422, b"no"),
    "a bug": RuntimeError("unforeseen"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_witness_that_is_down_or_lies_is_said_once_and_asked_again_later(tmp_path, witness, caplog, lie):
    log = ALog()
    one, cosigned = errand(tmp_path, log, witness)
    witness.lies = [lie, lie]
    waits = [one.step(), one.step()]
    assert waits == [2 * evidence_witnessing.STEP_S, 4 * evidence_witnessing.STEP_S]
    assert cosigned.read(ORIGIN, COSIGNER) is None
    assert {one.levelname for one in caplog.records} == {"WARNING"}, "an error would end a gateway that starts"
    if not isinstance(lie, RuntimeError):
        assert caplog.text.count("is not witnessed by `witness.example/w1`") == 1
    assert one.step() == evidence_witnessing.STEP_S
    assert "witnessed by `witness.example/w1` again" in caplog.text
    assert cosigned.read(ORIGIN, COSIGNER).head.size == 5


def test_a_log_that_was_taken_back_is_said_to_be(tmp_path, witness, caplog):
    log = ALog()
    log.size = 9
    errand(tmp_path, log, witness)[0].step()
    log.size = 5
    for path in (tmp_path / "anchors").iterdir():
        path.unlink()
    errand(tmp_path, log, witness)[0].step()
    assert "rollback: it says it has seen 9 leaves, and 5 are there" in caplog.text


def test_another_log_of_the_same_name_is_said_to_be(tmp_path, witness, caplog):
    errand(tmp_path, ALog(), witness)[0].step()
    other = ALog("other ")
    other.size = 9
    errand(tmp_path, other, witness)[0].step()
    assert "split view: it has seen another log of this name" in caplog.text


def test_it_is_done_beside_everything_else_and_the_last_checkpoint_is_cosigned_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(evidence_witnessing, "STEP_S", 0.02)
    log, cosigned = ALog(), Cosigned(tmp_path / "anchors", [COSIGNER])
    with a_witness(tmp_path, WITNESS, {ORIGIN: [KEY.public]}) as url:
        running = Errands()
        running.start([Witnessing(log, log.tree, cosigned, COSIGNER, WitnessClient(url))])
        assert wait_until(lambda: (seen := cosigned.read(ORIGIN, COSIGNER)) is not None and seen.head.size == 5, 60)
        log.size = 100
        running.stop()
        assert cosigned.read(ORIGIN, COSIGNER).head.size == 100


@pytest.mark.parametrize("status", [403, 404])
def test_who_does_not_know_the_log_or_its_key_is_to_be_given_them(tmp_path, witness, caplog, status):
    one, _ = errand(tmp_path, ALog(), witness)
    witness.lies = [(status, b"not known")]
    one.step()
    assert f"it answers {status}: it is to be given what `jupiter evidence witness logs` prints now" in caplog.text
