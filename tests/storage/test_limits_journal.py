"""A step is read back whole or not at all, wherever the file was cut or spoilt."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.limits_journal import MAX_BYTES, Journal, Step

STEPS = [
    Step(
        [("user:alice", "tokens/60s", None, b"\0\1", 7, 2**62), ("team:lab", "nusd/2026-11@UTC", 1.5, None, 0, 0)],
        [],
        [],
    ),
    Step([], [("c1", 9, b"body")], [("c2", "hold")]),
    Step([("ü", "calls/running", None, b"", 2**53, -1)], [], [("c1", "over"), ("c3", "hold")]),
]

HEAD_BITS = 16 * 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limits.db-steps"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    yield Journal(path, fd)
    os.close(fd)


@pytest.fixture
def written(journal: Journal) -> Journal:
    journal.begin(3)
    for step in STEPS:
        journal.append(step)
    return journal


def as_written(steps: list[Step]) -> list[Step]:
    """Tuples come back as lists."""
    return [Step(*([tuple(one) for one in part] for part in step)) for step in steps]


def test_a_new_file_has_nothing(journal: Journal):
    assert journal.read() == (0, [], False)


def test_steps_are_read_back_in_their_order(written: Journal):
    generation, steps, is_torn = written.read()
    assert (generation, as_written(steps), is_torn) == (3, STEPS, False)
    assert not written.is_empty


def test_a_new_generation_has_none_of_the_steps_of_the_last(written: Journal):
    written.begin(4)
    assert written.is_empty
    assert written.read() == (4, [], False)


def test_a_file_that_has_a_generation_always_has_one(written: Journal, monkeypatch: pytest.MonkeyPatch):
    """A process that dies while it begins a new one leaves a journal, and nobody takes it for one that is missing."""

    def dies(*_: object) -> int:
        raise OSError("no room")

    monkeypatch.setattr(os, "pwrite", dies)
    with pytest.raises(OSError, match="no room"):
        written.begin(4)
    assert written.read() == (3, [], False)


def test_a_file_that_is_cut_anywhere_has_the_steps_before_the_cut(written: Journal, path: Path):
    data = path.read_bytes()
    seen = set()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        _, steps, is_torn = written.read()
        assert as_written(steps) == STEPS[: len(steps)]
        seen.add((len(steps), is_torn))
    assert seen == {(0, False), (0, True), (1, False), (1, True), (2, False), (2, True)}


def test_no_flipped_bit_makes_another_step(written: Journal, path: Path):
    data = path.read_bytes()
    for bit in range(len(data) * 8):
        spoilt = bytearray(data)
        spoilt[bit // 8] ^= 1 << bit % 8
        path.write_bytes(spoilt)
        if bit < HEAD_BITS:
            with pytest.raises(StoreError, match="not what was written"):
                written.read()
            continue
        _, steps, is_torn = written.read()
        assert is_torn
        assert as_written(steps) == STEPS[: len(steps)]


def test_a_step_of_another_generation_is_none(written: Journal, path: Path):
    data = path.read_bytes()
    written.begin(4)
    head = path.read_bytes()
    path.write_bytes(head + data[len(head) :])
    assert written.read() == (4, [], True)


def test_a_step_that_is_written_in_part_is_a_fault(written: Journal, monkeypatch: pytest.MonkeyPatch):
    whole = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: whole(fd, data[:10], at))
    with pytest.raises(OSError, match="10 of"):
        written.append(STEPS[0])
    _, steps, is_torn = written.read()
    assert (as_written(steps), is_torn) == (STEPS, True)


def test_a_long_file_says_so(journal: Journal):
    journal.begin(1)
    journal.append(Step([], [("c", 1, b"x" * MAX_BYTES)], []))
    assert journal.is_long
