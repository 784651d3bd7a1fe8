"""What a witness checks and answers: the table of C2SP tlog-witness, and what must never be cosigned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.trees import GrowingLog

from jupiter_addons.evidence import checkpoint, note, witness
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.cosignature import Cosigner, opened
from jupiter_addons.evidence.merkle import EMPTY_ROOT
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.witness import (
    Answer,
    Latest,
    add_checkpoint,
    monitoring_path,
    parse_logs,
    request,
    size_in,
)

LOG_KEY = from_seed("log", b"\x01" * 32)
OTHER_KEY = from_seed("log", b"\x07" * 32)
WITNESS = from_seed("witness.example/w1", b"\x02" * 32)
ORIGIN = "jupiter/1"
LOG = GrowingLog(ORIGIN, LOG_KEY)
FORK = GrowingLog(ORIGIN, LOG_KEY, "other ")
LOGS = {ORIGIN: [LOG_KEY.named(ORIGIN).public]}


class Remembered:
    """A memory without a disk."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Latest, str]] = {}

    def latest(self, origin: str) -> Latest:
        return self.kept.get(origin, (Latest(), ""))[0]

    def advance(self, before: Latest, head: Checkpoint, note: str) -> bool:
        if self.latest(head.origin) != before:
            return False
        self.kept[head.origin] = Latest(head.size, head.root), note
        return True


def send(memory: Remembered, data: bytes) -> Answer:
    return add_checkpoint(data, LOGS, memory, WITNESS, 1_700_000_000)


def grown(memory: Remembered, size: int) -> Remembered:
    assert send(memory, request(0, [], LOG.signed(size))).status == 200
    return memory


def test_a_log_that_grows_is_cosigned_step_by_step():
    memory, old = Remembered(), 0
    for size in (0, 1, 2, 2, 7, 256, 300):
        signed = LOG.signed(size)
        answer = send(memory, request(old, LOG.proof(old, size) if old else [], signed))
        assert answer.status == 200, answer
        [seen] = opened((signed + answer.body).encode(), [Cosigner(WITNESS.public)])
        assert (seen.head, seen.time_s) == (LOG.head(size), 1_700_000_000)
        kept = memory.kept[ORIGIN][1].encode()
        assert checkpoint.opened(kept, LOGS[ORIGIN], [Cosigner(WITNESS.public)]) == LOG.head(size)
        old = size


FORGED = checkpoint.sign(LOG.head(7), OTHER_KEY)
FLIPPED = note.render(
    note.Note(
        str(LOG.head(7)), (note.Signature(ORIGIN, LOG_KEY.named(ORIGIN).public.id, LOG_KEY.sign(b"something else")),)
    )
)
STRANGE = LOG.signed(7) + note.signature_line(str(LOG.head(7)), from_seed("stranger", b"\x08" * 32))
EMPTY = checkpoint.sign(Checkpoint(ORIGIN, 0, bytes(32)), LOG_KEY)
GOOD = request(5, LOG.proof(5, 7), LOG.signed(7))
TABLE = [
    ("a proof from the last to the next", 5, GOOD, 200),
    ("signatures of strangers are ignored", 5, request(5, LOG.proof(5, 7), STRANGE), 200),
    ("the same again", 5, request(5, [], LOG.signed(5)), 200),
    ("a log that is not known", 5, request(0, [], GrowingLog("jupiter/2", LOG_KEY).signed(7)), 404),
    ("not known, and badly signed", 5, request(0, [], FORGED.replace(ORIGIN, "jupiter/2")), 404),
    ("signed by a key that is not the log's", 5, request(5, LOG.proof(5, 7), FORGED), 403),
    ("a signature of the log's key that does not verify", 5, request(5, LOG.proof(5, 7), FLIPPED), 403),
    ("bad signature comes before a wrong old size", 5, request(3, [], FORGED), 403),
    ("old is larger than the checkpoint", 5, request(6, [], LOG.signed(5)), 400),
    ("old is not the last", 5, request(4, LOG.proof(4, 7), LOG.signed(7)), 409),
    ("old is said to be 0", 5, request(0, [], LOG.signed(7)), 409),
    ("a wrong old size comes before a bad proof", 5, request(4, [], LOG.signed(7)), 409),
    ("nothing was ever cosigned", None, request(4, LOG.proof(4, 7), LOG.signed(7)), 409),
    ("taken back", 5, request(3, LOG.proof(3, 4), LOG.signed(4)), 409),
    ("no proof", 5, request(5, [], LOG.signed(7)), 422),
    ("a proof of another step", 5, request(5, LOG.proof(4, 7), LOG.signed(7)), 422),
    ("another log of the same name", 5, request(5, FORK.proof(5, 7), FORK.signed(7)), 422),
    ("another log of the same size", 5, request(5, [], FORK.signed(5)), 422),
    ("a proof between equal sizes", 5, request(5, LOG.proof(5, 7), LOG.signed(5)), 422),
    ("a proof from the empty tree", None, request(0, LOG.proof(5, 7), LOG.signed(7)), 422),
    ("an empty tree of another root", None, request(0, [], EMPTY), 422),
    ("an empty tree", None, request(0, [], LOG.signed(0)), 200),
    ("no old size", 5, GOOD.partition(b"\n")[2], 400),
    ("an old size with a leading zero", 5, GOOD.replace(b"old 5", b"old 05"), 400),
    ("an old size of Arabic digits", 5, GOOD.replace(b"old 5", "old \u0665".encode()), 400),
    ("an old size of thousands of digits", 5, GOOD.replace(b"old 5", b"old " + b"5" * 9999), 400),
    ("a negative old size", 5, GOOD.replace(b"old 5", b"old -5"), 400),
    ("a hash that is no hash", 5, request(5, [b"short"], LOG.signed(7)), 400),
    ("a hash that is no base64", 5, GOOD.replace(b"old 5\n", b"old 5\n!\n"), 400),
    ("a proof of 64 hashes", 5, request(5, [bytes(32)] * 64, LOG.signed(7)), 400),
    ("no blank line", 5, GOOD.replace(b"\n\n", b"\n", 1), 400),
    ("no signature", 5, GOOD[: GOOD.rindex("\u2014".encode())], 400),
    ("cut off", 5, GOOD[:-1], 400),
    ("other line ends", 5, GOOD.replace(b"\n", b"\r\n"), 400),
    ("nothing", 5, b"", 400),
    ("no text", 5, b"\xff" * 100, 400),
]


@pytest.mark.parametrize(("size", "data", "status"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_table_of_the_protocol(size, data, status):
    memory = Remembered() if size is None else grown(Remembered(), size)
    before = dict(memory.kept)
    answer = send(memory, data)
    assert answer.status == status, answer
    if status == 409:
        assert (answer.content_type, size_in(answer.body.encode())) == ("text/x.tlog.size", size or 0)
    if status != 200:
        assert memory.kept == before and "\u2014" not in answer.body


@given(st.integers(0, 40), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=12))
def test_whatever_is_sent_the_cosigned_checkpoints_are_those_of_one_log_that_grows(first, steps):
    memory = Remembered()
    cosigned = []
    for old, new, forked in [(0, first, False), *steps]:
        log = FORK if forked else LOG
        answer = send(memory, request(old, log.proof(old, new), log.signed(new)))
        if answer.status == 200:
            cosigned.append((new, log.head(new).root))
    sizes = [size for size, _ in cosigned]
    assert sizes == sorted(sizes)
    shown = {root for size, root in cosigned if size}
    assert shown <= {LOG.head(size).root for size in sizes} or shown <= {FORK.head(size).root for size in sizes}


@pytest.mark.parametrize("cut", range(0, len(GOOD), 3))
def test_a_request_that_was_cut_off_is_never_cosigned(cut):
    assert send(grown(Remembered(), 5), GOOD[:cut]).status in (400, 403)


def test_of_two_that_were_judged_by_the_same_state_the_second_is_told_what_the_first_has_done():
    class Overtaken(Remembered):
        """Another request comes in between the judgement and the change."""

        def advance(self, before, head, note):
            if head.size == 7:
                assert super().advance(before, LOG.head(9), "")
            return super().advance(before, head, note)

    memory = grown(Overtaken(), 5)
    answer = send(memory, GOOD)
    assert (answer.status, answer.body) == (409, "9\n")
    assert memory.latest(ORIGIN) == Latest(9, LOG.head(9).root)


def test_a_log_of_another_kind_may_have_lines_of_its_own_and_they_are_cosigned():
    text = f"{LOG.head(3)}extension 1\nextension 2\n"
    signed = note.sign(text, LOG_KEY.named(ORIGIN))
    answer = send(Remembered(), request(0, [], signed))
    assert answer.status == 200
    assert note.opened((signed + answer.body).encode(), [Cosigner(WITNESS.public)], strangers=True).text == text
    blank = note.sign(f"{LOG.head(3)}\nextension\n", LOG_KEY.named(ORIGIN))
    assert send(Remembered(), request(0, [], blank)).status == 400


def test_the_known_logs_are_read_from_lines_of_a_policy():
    key, new = LOG_KEY.named(ORIGIN).public, OTHER_KEY.named(ORIGIN).public
    assert parse_logs(f"# ours\n\nlog {key}\nlog {new} https://h/\n") == {ORIGIN: [key, new]}
    for bad in ("log", f"witness {key}", f"log {str(key)[:-1]}", str(key)):
        with pytest.raises(ValueError, match="line 1"):
            parse_logs(bad)


def test_after_a_rotation_either_key_of_a_log_is_enough():
    logs = parse_logs(f"log {LOG_KEY.named(ORIGIN).public}\nlog {OTHER_KEY.named(ORIGIN).public}")
    for signed in (FORGED, LOG.signed(7), checkpoint.sign(LOG.head(7), LOG_KEY, OTHER_KEY)):
        assert add_checkpoint(request(0, [], signed), logs, Remembered(), WITNESS, 1).status == 200


def test_the_address_of_a_log_is_the_hash_of_its_origin():
    assert monitoring_path("") == f"/{EMPTY_ROOT.hex()}/checkpoint"


def test_a_size_is_read_in_one_form():
    assert size_in(b"12\n") == 12
    for bad in (b"", b"-1\n", b"012\n", b"1\n\n", b"\xff", b"1.0"):
        with pytest.raises(ValueError):
            size_in(bad)


def test_the_request_is_as_published():
    assert witness.request(0, [], LOG.signed(1)).startswith(b"old 0\n\njupiter/1\n1\n")
    assert GOOD.splitlines()[0] == b"old 5"
