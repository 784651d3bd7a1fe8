"""What is missing from a log is seen."""

import pytest
from support.logs import KEY, a_decision, seal

from jupiter_addons.evidence.continuity import continuity
from jupiter_addons.evidence.record import control
from jupiter_addons.evidence.verify import Row

OPEN, CLOSE = control("log.open", boot="b", heartbeat_s=60), control("log.close", boot="b")


def gaps(rows):
    return [(gap.idx, gap.what) for gap in continuity(rows).gaps]


def test_an_orderly_log_has_no_gaps():
    found = continuity(seal([OPEN, a_decision("c"), CLOSE, OPEN, control("erase", subject="x"), CLOSE]))
    assert found.gaps == []
    assert (found.leaves, found.starts, found.milestones) == (6, 2, {"erase": 1})
    assert found.keys == {KEY.public.kid: 6}
    assert found.kinds["log.open"] == 2


def test_leaves_that_are_missing_are_counted():
    rows = seal([OPEN, *(a_decision(f"c{number}") for number in range(5)), CLOSE])
    assert gaps([*rows[:2], *rows[4:]]) == [(4, "2 leaves are missing")]
    assert gaps(rows[3:]) == [(3, "3 leaves are missing, and nothing says they may")]


@pytest.mark.parametrize(("upto", "missing"), [(3, False), (4, False), (2, True)])
def test_leaves_that_were_pruned_are_no_gap(upto, missing):
    rows = seal([OPEN, *(a_decision(f"c{number}") for number in range(5)), control("prune", upto=upto), CLOSE])
    assert bool(gaps(rows[3:])) is missing
    assert continuity(rows[3:]).first == 3


def test_a_start_that_follows_no_orderly_end_is_a_gap():
    [(idx, what)] = gaps(seal([OPEN, a_decision("c"), OPEN, CLOSE]))
    assert idx == 2
    assert "without a word" in what


@pytest.mark.parametrize(
    ("beats", "found"), [([60, 120], []), ([60, 60 + 151], ["nothing for 151 s, not even a heart-beat"])]
)
def test_a_log_that_promised_heart_beats_and_fell_silent_is_seen(beats, found):
    rows = []
    for number, second in enumerate([0, *beats]):
        fields = OPEN if second == 0 else control("heartbeat", boot="b")
        leaf = seal([{**fields}], t_us=second * 1_000_000)[0].leaf
        rows.append(Row(number, leaf, b""))
    assert [what for _, what in gaps(rows)] == found


@pytest.mark.parametrize(
    "leaf",
    [
        *(b"", b"\xff", b"[]", b"{}", b'{"kind":"prune","detail":7}', b'{"kind":"prune","detail":{"upto":"x"}}'),
        *(b'{"kind":"log.open","t_us":"now","detail":{"heartbeat_s":[]}}', b'{"kind":{},"kid":[]}'),
    ],
)
def test_a_leaf_that_cannot_be_read_is_counted_and_left_to_verify(leaf):
    assert continuity([Row(0, leaf, b"")]).leaves == 1
