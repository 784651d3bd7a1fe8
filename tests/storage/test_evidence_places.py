"""A log is read in the same way, wherever it is kept."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from support.log_places import Place, PostgresPlace, SqlitePlace
from support.logs import KEYS, LOG_KEY, SIGNING, a_decision, an_outcome
from support.postgres import needs_postgres

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import record
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.evidence.query import Filter
from jupiter_addons.evidence.verify import verify
from jupiter_addons.storage.evidence_audit import Audit
from jupiter_addons.storage.evidence_places import newest_checkpoint, rolled_up, rows, snapshot
from jupiter_addons.storage.evidence_query import NEWEST, OLDEST, Order, every, leaves_of, newest, page

PLACES = [
    pytest.param(SqlitePlace, id="sqlite"),
    pytest.param(PostgresPlace, id="postgres", marks=needs_postgres),
]
CALLS = 300


@pytest.fixture(scope="module", params=PLACES)
def place(request, tmp_path_factory):
    made: Place = request.param(tmp_path_factory.mktemp("place"))

    async def write() -> None:
        log = made.open()
        for first in range(0, CALLS, 50):
            done = []
            for n in range(first, first + 50):
                done.append(log.append(a_decision(f"c{n}", model=f"m{n % 3}", tags={"n": str(n % 5)}), said(n)))
                if n % 4:
                    done.append(log.append(an_outcome(f"c{n}", charge_nusd=n)))
            await asyncio.gather(*done)
        log.append_nowait(record.rollup([("jupiter/other", 7, "ab" * 32)]))
        log.close()

    asyncio.run(write())
    with contextlib.closing(made):
        yield made


def said(n: int) -> list[Sealed]:
    return [Sealed("request", "key", b"\0" * n)] if n % 10 == 0 else []


def test_all_leaves_come_in_order_and_verify_with_their_tree(place):
    assert verify(rows(place.log()), KEYS).findings == []
    [log], together = Audit(SIGNING.manifest).run([place.log()], [])
    assert (log.report.findings, [finding.check for finding in together]) == ([], ["missing"])  # the other log
    assert log.checkpoints >= 1 and log.report.leaves == CALLS + CALLS * 3 // 4 + 3


def test_a_snapshot_says_what_is_there(place):
    with snapshot(place.log()) as log:
        assert log.size == CALLS + CALLS * 3 // 4 + 3
        assert [row.idx for row in log.rows(log.size - 2)] == [log.size - 2, log.size - 1]
        assert len(log.leaves_of("c1")) == 2 and log.leaves_of("c9999") == []
        assert log.ciphertext("c10", "request") == b"\0" * 10
        assert log.ciphertext("c11", "request") is None
        sizes = [size for size, _ in log.checkpoints()]
        assert sizes[-1] == log.size and list(log.checkpoints(log.size)) == []
        assert [len(log.tiles(0, n)) for n in range(3)] == [256, 256, log.size - 512]
    head = newest_checkpoint(place.log(), [LOG_KEY.public])
    assert head is not None and head.size == log.size


def test_roll_ups_are_read(place):
    [head] = rolled_up(place.log())
    assert (head.origin, head.size) == ("jupiter/other", 7)
    assert [row.idx for row in newest(place.log(), "rollup")] == [CALLS + CALLS * 3 // 4 + 1]


ASKED: list[tuple[Filter, Callable[[int], object]]] = [
    (Filter(), lambda n: True),
    (Filter(model="m1"), lambda n: n % 3 == 1),
    (Filter(status="ok"), lambda n: n % 4 != 0),
    (Filter(status="open"), lambda n: n % 4 == 0),
    (Filter(tag="n=2"), lambda n: n % 5 == 2),
    (Filter(tag="n"), lambda n: True),
    (Filter(tag="m"), lambda n: False),
    (Filter(min_cost_nusd=250), lambda n: n % 4 and n >= 250),
    (Filter(max_cost_nusd=10), lambda n: n % 4 and n <= 10),
    (Filter(id="c7"), lambda n: n == 7),
    (Filter(user="hmac:alice", team="lab", model="m2"), lambda n: n % 3 == 2),
    (Filter(user="nobody"), lambda n: False),
]
"""What is asked for, and whether the call of a number is that."""


@pytest.mark.parametrize(("wanted", "expected"), ASKED, ids=[str(wanted) for wanted, _ in ASKED])
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed yet"])
def test_calls_are_found_by_what_is_asked(place, wanted, expected, indexed):
    place.index() if indexed else place.forget_index()
    found = list(every([place.log()], wanted, OLDEST))
    assert [call["id"] for call in found] == [f"c{n}" for n in range(CALLS) if expected(n)]


@pytest.mark.parametrize("order", [NEWEST, OLDEST, Order("cost"), Order("tokens", descending=False)], ids=str)
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed yet"])
def test_pages_follow_one_another_without_a_gap(place, order, indexed):
    place.index() if indexed else place.forget_index()
    whole = [call["id"] for call in every([place.log()], Filter(), order)]
    found, cursor = [], None
    while True:
        one = page([place.log()], Filter(), order, 70, cursor)
        found += [call["id"] for call in one.calls]
        cursor = one.next
        if cursor is None:
            break
    assert found == whole and len(set(found)) == len(found) > 200


def test_one_call_is_shown(place):
    assert len(leaves_of([place.log()], "c1")) == 2
    assert leaves_of([place.log()], "nothing") == []


def test_a_place_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StoreError, match="no database"):
        snapshot(tmp_path / "none.db")
