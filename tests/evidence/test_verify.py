"""Whatever is changed in a log is found, and named."""

import dataclasses

import pytest
from support.logs import KEY, KEYS, a_decision, an_outcome, seal

from jupiter_addons.evidence.encoding import leaf_hash, pae
from jupiter_addons.evidence.record import End, control
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.evidence.verify import Row, verify

LEAVES = [
    control("log.open", boot="b"),
    a_decision("c1"),
    a_decision("c2", end=End("refused", 403, "policy_denied"), verdict="deny"),
    an_outcome("c1"),
    a_decision("c3"),
]


def checks(rows: list[Row], keys=KEYS) -> set[str]:
    return {finding.check for finding in verify(rows, keys).findings}


def test_a_good_log_has_no_findings():
    report = verify(seal(LEAVES), KEYS)
    assert report.findings == []
    assert report.kinds == {"log.open": 1, "decision": 3, "outcome": 1}
    assert report.open_calls == {"c3"}
    assert (report.leaves, report.first_us, report.last_us) == (5, 1000, 1004)


def test_every_single_flipped_bit_is_found():
    rows = seal(LEAVES)
    missed = []
    for number, row in enumerate(rows):
        for part in ("leaf", "signature"):
            data = getattr(row, part)
            for at in range(len(data)):
                flipped = data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
                changed = [*rows[:number], dataclasses.replace(row, **{part: flipped}), *rows[number + 1 :]]
                if not verify(changed, KEYS).findings:
                    missed.append((number, part, at))
    assert missed == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda rows: rows[:2] + rows[3:], "sequence"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "chain"),
        (lambda rows: [*rows[:2], rows[1], *rows[2:]], "sequence"),
        (lambda rows: rows[1:], "prune"),
        (lambda rows: [dataclasses.replace(row, idx=n) for n, row in enumerate(rows[:1] + rows[2:])], "chain"),
    ],
    ids=["removed", "swapped", "doubled", "beheaded", "renumbered"],
)
def test_what_is_moved_or_missing_is_found(change, found):
    assert found in checks(change(seal(LEAVES)))


def test_one_gap_is_one_missing_leaf():
    rows = seal(LEAVES)
    findings = verify(rows[:1] + rows[2:], KEYS).findings
    assert [finding.idx for finding in findings if finding.check == "sequence"] == [2]


def test_a_leaf_filed_under_what_it_does_not_say_is_found():
    row = seal(LEAVES)[0]
    right = (b"log.open", None, b"1000", leaf_hash(row.leaf).encode())
    assert checks([dataclasses.replace(row, columns=right)]) == set()
    for at in range(len(right)):
        wrong = (*right[:at], b"x", *right[at + 1 :])
        assert checks([dataclasses.replace(row, columns=wrong)]) == {"columns"}


def test_a_log_signed_by_another_is_not_trusted():
    stranger = from_seed("evidence", b"\x02" * 32)
    rows = [Row(row.idx, row.leaf, stranger.sign(pae(row.leaf))) for row in seal(LEAVES)]
    assert checks(rows) == {"signature"}
    assert checks(seal(LEAVES), {}) == {"key"}
    assert checks(seal(LEAVES), {KEY.public.kid: stranger.public}) == {"signature"}


def test_two_decisions_or_outcomes_of_one_call_are_found():
    assert checks(seal([a_decision("c"), a_decision("c")])) == {"call"}
    assert checks(seal([a_decision("c"), an_outcome("c"), an_outcome("c")])) == {"call"}
    assert checks(seal([an_outcome("c")])) == {"call"}


def test_time_that_runs_backwards_is_found():
    assert "time" in checks([*seal(LEAVES[:2])[:1], *seal(LEAVES[:2], t_us=5)[1:]])
    assert "time" in checks(seal(LEAVES[:1], t_us="now"))


def test_a_leaf_that_is_not_canonical_is_found_even_if_signed():
    leaf = b'{"v": 1}'
    assert checks([Row(0, leaf, KEY.sign(pae(leaf)))]) == {"encoding"}
    assert checks([Row(0, b"\xff", b"")]) == {"encoding"}
    assert checks([Row(0, b"[" * 1000 + b"]" * 1000, b"")]) == {"encoding"}
