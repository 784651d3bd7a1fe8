"""What a log does in whatever store it is kept.  A new store is a row of `PLACES`; what only one does is in its own test."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.log_places import Place, PostgresPlace, SqlitePlace
from support.logs import LOG_KEY, a_decision, an_attempt, an_outcome
from support.postgres import needs_postgres
from support.wire import wait_until

from jupiter_addons.errors import StoreError
from jupiter_addons.evidence import checkpoint
from jupiter_addons.evidence.encoding import leaf_hash
from jupiter_addons.evidence.merkle import Edge, hash_leaf
from jupiter_addons.evidence.payload import Sealed
from jupiter_addons.storage import evidence_writer

PLACES: dict[str, Callable[[Path], Place]] = {"sqlite": SqlitePlace, "postgres": PostgresPlace}
NEEDED = {"postgres": needs_postgres}


@pytest.fixture(params=[pytest.param(make, id=name, marks=NEEDED.get(name, ())) for name, make in PLACES.items()])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made: Place = request.param(tmp_path)
    with contextlib.closing(made):
        yield made


def run(place: Place, *leaves: Any, **options: Any) -> list[Any]:
    """Open the log, append leaves at once, close it; return what each append came to."""

    async def main() -> list[Any]:
        log = place.open(**options)
        try:
            return await asyncio.gather(*(log.append(fields) for fields in leaves), return_exceptions=True)
        finally:
            log.close()

    return asyncio.run(main())


def kinds(place: Place) -> list[str]:
    return [json.loads(row.leaf)["kind"] for row in place.rows()]


def test_leaves_are_numbered_linked_and_signed(place):
    assert run(place, *(a_decision(f"c{n}") for n in range(300))) == list(range(1, 301))
    found = place.report()
    assert found.findings == []
    assert found.kinds == Counter({"decision": 300, "log.open": 1, "log.close": 1})


def test_the_newest_checkpoint_is_over_all_leaves_and_those_that_are_kept_are_of_the_same_tree(place):
    async def main():
        log = place.open()
        for n in range(20):
            await asyncio.gather(*(log.append({"kind": "x"}) for _ in range(n)))
        log.close()
        return log.checkpoint

    note = asyncio.run(main())
    edge, roots = Edge(), {}
    for row in place.rows():
        edge.append(hash_leaf(row.leaf))
        roots[edge.size] = edge.root()
    kept = place.sql(f"SELECT size, note FROM {place.table('checkpoint')} ORDER BY size")
    assert kept[-1][0] == edge.size and kept[-1][1] == note
    for size, stored in kept:
        signed = checkpoint.opened(stored.encode(), [LOG_KEY.public])
        assert (signed.size, signed.root) == (size, roots[size])


def test_a_log_goes_on_where_it_ended(place):
    for number in range(3):
        run(place, a_decision(f"c{number}", end=None), an_outcome(f"c{number}"))
    found = place.report()
    assert (found.findings, found.open_calls) == ([], set())
    assert kinds(place) == ["log.open", "decision", "outcome", "log.close"] * 3
    assert len({json.loads(row.leaf)["log"] for row in place.rows()}) == 1


def test_a_call_that_was_open_when_the_process_ended_is_ended_by_the_next(place):
    run(place, a_decision("a"), a_decision("b"), an_outcome("b"), a_decision("c"))
    run(place)
    assert place.report().open_calls == set()
    ended = [json.loads(row.leaf) for row in place.rows()]
    interrupted = {leaf["id"] for leaf in ended if leaf.get("outcome", {}).get("status") == "interrupted"}
    assert interrupted == {"a", "c"}
    assert kinds(place)[-4:] == ["log.open", "outcome", "outcome", "log.close"]
    assert place.sql(f"SELECT count(*) FROM {place.table('open_call')}") == [(0,)]


def test_what_is_recorded_twice_is_refused_and_spoils_nothing(place):
    came = run(place, a_decision("a"), a_decision("a"), an_outcome("a"), an_outcome("a"), an_outcome("never"))
    assert [type(one) for one in came] == [int, StoreError, int, StoreError, StoreError]
    assert place.report().findings == []


def test_a_second_writer_of_the_same_log_is_refused_while_the_first_is_there(place):
    async def main():
        log = place.open()
        with pytest.raises(StoreError, match="another process"):
            place.open()
        await log.append(a_decision("a"))
        log.close()
        place.open().close()

    asyncio.run(main())
    assert place.report().findings == []


def test_an_acknowledged_leaf_is_there_while_the_log_is_being_written(place):
    async def main():
        log = place.open()
        await log.append(a_decision("a"))
        there = Counter(kinds(place))
        log.close()
        return there

    assert asyncio.run(main()) == {"log.open": 1, "decision": 1}


BODIES = {
    "nothing": b"",
    "NUL": b'{"a":"\x00\\u0000"}',
    "lone surrogates, as JSON and as bytes": b'"\\ud800" \xed\xa0\x80 \xff\xfe',
    "four-byte UTF-8": "𝄞🜁".encode(),
    "every byte": bytes(range(256)) * 3,
    "8 MB": bytes(range(251)) * (8 * 1024 * 1024 // 251),
}


def test_what_was_said_is_kept_to_the_byte(place):
    async def main():
        log = place.open()
        for name, body in BODIES.items():
            await log.append(a_decision(name), [Sealed("request", "key-1", body)])
            await log.append(an_outcome(name), [Sealed("response", "key-2", body[::-1])])
        log.close()

    asyncio.run(main())
    stored = place.sql(f"SELECT call_id, role, key_id, ct FROM {place.table('payload')}")
    expected = {(name, "request", "key-1"): body for name, body in BODIES.items()}
    expected |= {(name, "response", "key-2"): body[::-1] for name, body in BODIES.items()}
    assert {(call, role, key): bytes(ct) for call, role, key, ct in stored} == expected


def test_any_text_is_kept_as_it_was_signed(place):
    texts = ["plain", "NUL \x00 in it", "lone \ud800 surrogate", "𝄞🜁", "\u2028", "'; DROP TABLE leaf; --", "x" * 5000]
    run(place, *(a_decision(f"c{n}", model=text, tags={"t": text}) for n, text in enumerate(texts)))
    assert place.report().findings == []
    asked = [leaf["gen_ai"]["request.model"] for row in place.rows() if (leaf := json.loads(row.leaf)).get("gen_ai")]
    assert (len(asked), asked[0], asked[3]) == (len(texts), "plain", "𝄞🜁")


def test_the_index_of_calls_follows_the_leaves(place, monkeypatch):
    monkeypatch.setattr(evidence_writer, "IDLE_S", 0.02)

    def indexed() -> list[tuple[Any, ...]]:
        found = place.sql(
            f"SELECT call_id, model, provider, attempts, verdict, status, tokens, cost_nusd, CAST(tags AS TEXT) "
            f"FROM {place.table('call_index')} ORDER BY call_id"
        )
        return [(*columns, tags and json.loads(tags)) for *columns, tags in found]

    async def main():
        log = place.open()
        await asyncio.gather(
            *map(log.append, (a_decision("a", tags={"x": "1"}), an_attempt("a", 2, "q"), a_decision("b")))
        )
        await log.append(an_outcome("a"))
        wait_until(lambda: len(indexed()) == 2 and indexed()[0][5] == "ok")
        log.close()

    asyncio.run(main())
    assert indexed() == [
        ("a", "m", "q", 2, "allow", "ok", 7, 5, {"x": "1"}),
        ("b", "m", "p", 1, "allow", "open", None, None, None),
    ]


KILLED = """
import asyncio, sys
from pathlib import Path
from support.log_places import *
from support.logs import SIGNING, a_decision

async def main(place):
    log = {opened}
    for n in range(100000):
        await asyncio.gather(*(log.append(a_decision(f"{{sys.argv[2]}}-{{n}}-{{i}}")) for i in range(7)))
        print(n, flush=True)

asyncio.run(main(sys.argv[1]))
"""


def test_what_was_acknowledged_before_a_kill_is_there_and_the_log_goes_on(place):
    program = [sys.executable, "-c", KILLED.format(opened=place.OPENED), place.argument()]
    tests = str(Path(__file__).parents[1])
    for time in ("first", "second"):
        with subprocess.Popen(
            [*program, time], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": tests}
        ) as process:
            assert process.stdout is not None
            told = [int(process.stdout.readline()) for _ in range(25)]
            process.kill()
            told += map(int, process.stdout.read().split())
        there = {json.loads(row.leaf).get("id") for row in place.rows()}
        assert {f"{time}-{n}-{i}" for n in told for i in range(7)} <= there
    run(place)
    assert (place.report().findings, place.report().open_calls) == ([], set())


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE {leaf} SET sig = leaf WHERE idx = (SELECT max(idx) FROM {leaf})",
        "UPDATE {leaf} SET leaf = sig WHERE idx = (SELECT max(idx) FROM {leaf})",
        "UPDATE {leaf} SET leaf = sig WHERE idx = 270",
        "DELETE FROM {leaf} WHERE idx = (SELECT max(idx) FROM {leaf})",
        "DELETE FROM {leaf}",
        "DELETE FROM {tile}",
        "DELETE FROM {checkpoint}",
        "UPDATE {checkpoint} SET note = 'x' WHERE size = (SELECT max(size) FROM {checkpoint})",
    ],
)
def test_a_log_that_does_not_agree_with_its_newest_checkpoint_is_not_gone_on_with(place, damage):
    run(place, *({"kind": "x"} for _ in range(300)))
    names = {name: place.table(name) for name in ("leaf", "tile", "checkpoint")}
    place.sql(damage.format(**names))
    with pytest.raises(StoreError):
        place.open()


def test_a_log_that_is_shorter_than_its_anchor_or_another_is_refused(place):
    run(place, a_decision("a"))
    log = place.open()
    anchored = checkpoint.opened(log.checkpoint.encode(), [LOG_KEY.public])
    log.close()
    changed = checkpoint.Checkpoint(anchored.origin, anchored.size, hash_leaf(b"another"))
    beyond = checkpoint.Checkpoint(anchored.origin, 1000, anchored.root)
    place.open(anchored=lambda _origin: anchored).close()
    for wrong, match in ((changed, "are not those"), (beyond, "cut")):
        with pytest.raises(StoreError, match=match):
            place.open(anchored=lambda _origin, wrong=wrong: wrong)


def test_acknowledged_before_it_is_durable_every_leaf_says_how_many_a_crash_can_take(place):
    run(place, a_decision("a"), durability="async")
    assert {json.loads(row.leaf)["loss_bound"] for row in place.rows()} == {evidence_writer.MAX_WAITING}
    assert place.report().findings == []


def test_columns_say_what_the_leaf_says(place):
    run(place, a_decision("a"))
    for row in place.rows():
        leaf = json.loads(row.leaf)
        assert row.columns == (
            leaf["kind"].encode(),
            leaf["id"].encode() if "id" in leaf else None,
            str(leaf["t_us"]).encode(),
            leaf_hash(row.leaf).encode(),
        )
