"""What stands in a leaf of a limit is enough to count again, and names nobody."""

import pytest

from jupiter_addons.evidence.bounds import MAX_TEXT
from jupiter_addons.evidence.counted import counted
from jupiter_addons.evidence.encoding import encode

LIMIT = {"name": "usd_per_month", "unit": "nusd", "held": 5, "limit": 9 * 10**15, "period": "2026-03@Europe/Berlin"}


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        ("team:lab", {"by": "team", "of": "lab"}),
        ("model:gpt-4o:free", {"by": "model", "of": "gpt-4o:free"}),
        ("global", {"by": "global"}),
        ("user:alice", {"by": "user"}),
        ("key:abcdefghijkl", {"by": "key"}),
        ("rule:p/r:alice", {"by": "rule"}),
    ],
)
def test_a_limit_is_named_by_what_it_counts_and_never_by_whom(subject, named):
    assert counted(subject, **LIMIT) == {**named, **LIMIT}


def test_what_is_over_says_so():
    assert counted("global", **LIMIT, over=True)["over"] is True


def test_an_entry_fits_whatever_a_subject_is_called():
    entry = counted("team:" + "x\x00" * 500, **LIMIT)
    assert len(entry["of"].encode()) <= MAX_TEXT
    encode(entry)
