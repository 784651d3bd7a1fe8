"""A leaf gets its place at the end of a log, or a reason why not."""

import json

import pytest
from support.logs import KEY, SIGNING, a_decision, an_outcome

from jupiter_addons.errors import VerificationError
from jupiter_addons.evidence.encoding import ZERO_HASH, leaf_hash, pae
from jupiter_addons.storage.evidence_tail import Identity, Sealer, Tail, extend

IDENTITY = Identity(SIGNING, "test", "0", boot="b00t")


def sealed(*leaves, sealer=None, open_calls=(), late=()):
    tail, sealer = Tail(), sealer or Sealer(IDENTITY, lambda: 5_000_000)
    return tail, [sealer.seal(fields, tail, "o", open_calls, late) for fields in leaves]


def test_a_leaf_says_where_it_stands_and_is_signed_as_it_says():
    tail, rows = sealed(a_decision("a"), an_outcome("a"))
    first, second = (json.loads(row[4]) for row in rows)
    assert (first["idx"], first["prev"], first["log"], first["t_us"]) == (0, ZERO_HASH, "o", 5000)
    assert (second["idx"], second["prev"]) == (1, rows[0][6])
    assert rows[0][6] == leaf_hash(rows[0][4])
    KEY.public.verify(pae(rows[0][4]), rows[0][5])
    assert (tail.idx, tail.hash, tail.calls) == (1, rows[1][6], {"a": False})


def test_a_tail_that_was_copied_does_not_move():
    tail, _ = sealed(a_decision("a"))
    copy = tail.copy()
    Sealer(IDENTITY, lambda: 6_000_000).seal(an_outcome("a"), copy, "o", {"a"}, ())
    assert (tail.idx, tail.calls, copy.idx, copy.calls) == (0, {"a": True}, 1, {"a": False})


@pytest.mark.parametrize(
    ("fields", "open_calls", "late"),
    [
        (an_outcome("a"), (), ()),
        (a_decision("a"), {"a"}, ()),
        (a_decision("a"), (), {"a"}),
        ({"kind": "decision"}, (), ()),
        ({"kind": "decision", "id": 7}, (), ()),
        ({"kind": None}, (), ()),
        ({"kind": "x", "y": 0.5}, (), ()),
    ],
)
def test_what_cannot_stand_there_changes_nothing(fields, open_calls, late):
    tail = Tail()
    with pytest.raises(ValueError):
        Sealer(IDENTITY, lambda: 5_000_000).seal(fields, tail, "o", open_calls, late)
    assert tail == Tail()


def test_a_log_that_can_lose_leaves_says_in_each_how_many():
    _, [row] = sealed(a_decision("a"), sealer=Sealer(IDENTITY, lambda: 0, 4096))
    assert json.loads(row[4])["loss_bound"] == 4096
    _, [row] = sealed(a_decision("a"))
    assert "loss_bound" not in json.loads(row[4])


def test_a_tail_is_moved_on_by_leaves_that_were_sealed_before_and_by_no_others():
    grown, rows = sealed(a_decision("a"), a_decision("b"), an_outcome("a"), {"kind": "x"})
    tail = Tail()
    extend(tail, rows[:2])
    extend(tail, rows[2:])
    assert tail == grown and tail.calls == {"a": False, "b": True}
    for wrong in ([rows[1]], [rows[0], rows[2]], [(*rows[0][:4], rows[1][4], *rows[0][5:])], [(*rows[0][:6], "0")]):
        with pytest.raises(VerificationError):
            extend(Tail(), wrong)
