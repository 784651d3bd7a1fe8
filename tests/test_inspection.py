"""The evidence on the admin port: paged, bounded, one question at a time, and no word of what was said."""

import asyncio
import json
import threading
from pathlib import Path

import pytest
from support.evidence import install, some_leaves
from support.logs import a_decision

from jupiter_addons.cli.options import configuration
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.inspection import MAX_LIMIT, Inspection
from jupiter_addons.storage import signing_keys


@pytest.fixture(scope="module")
def inspection(tmp_path_factory):
    directory = tmp_path_factory.mktemp("installation")

    def leaves(who):
        return [*some_leaves(who), *(a_decision(f"c{number}", who=who("carol")) for number in range(300))]

    settings = configuration(Path(install(directory, leaves)))
    key = signing_keys.pseudonym_key(settings.signing_dir)
    return Inspection(lambda: settings.evidence_paths, lambda user: pseudonym(key, user))


def ask(inspection, path="/evidence", **given):
    status, body = asyncio.run(inspection(path, {name: [str(value)] for name, value in given.items()}))
    return status, json.loads(body)


def test_the_newest_calls_come_first_and_a_page_says_how_to_go_on(inspection):
    found, cursor = [], None
    while True:
        status, body = ask(inspection, limit=70, **({"cursor": cursor} if cursor else {}))
        assert status == 200
        found += [call["id"] for call in body["calls"]]
        cursor = body["next"]
        if cursor is None:
            break
    assert found[0] == "c299"
    assert len(found) == len(set(found)) == 304


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"user": "alice"}, ["call-3", "call-1"]),
        ({"verdict": "deny"}, ["call-2"]),
        ({"tag": "cost-centre=42"}, ["call-1"]),
        ({"sort": "cost"}, ["call-3", "call-1"]),
        ({"sort": "cost", "order": "asc", "limit": 1}, ["call-1"]),
        ({"min_cost": "0.5", "since": "1970-01-01"}, ["call-3"]),
    ],
)
def test_it_is_asked_as_the_command_is(inspection, given, found):
    status, body = ask(inspection, **given)
    assert (status, [call["id"] for call in body["calls"]]) == (200, found)


@pytest.mark.parametrize(
    ("given", "parameter"),
    [
        *(({"limit": MAX_LIMIT + 1}, "limit"), ({"limit": "x"}, "limit"), ({"sort": "colour"}, "sort")),
        *(({"order": "up"}, "order"), ({"cursor": "x"}, "cursor"), ({"colour": "red"}, "colour")),
        *(({"since": "yesterday"}, "since"), ({"model": "m" * 300}, "model")),
    ],
)
def test_a_wrong_question_is_told_which_part_is_wrong(inspection, given, parameter):
    status, body = ask(inspection, **given)
    assert (status, body["parameter"]) == (400, parameter)


def test_a_parameter_that_is_given_twice_has_no_meaning(inspection):
    status, body = asyncio.run(inspection("/evidence", {"model": ["a", "b"]}))
    assert (status, json.loads(body)["parameter"]) == (400, "model")


def test_one_call_has_its_leaves_and_where_they_stand(inspection):
    status, body = ask(inspection, "/evidence/call-3")
    assert status == 200
    assert [leaf["leaf"]["kind"] for leaf in body["leaves"]] == ["decision", "attempt", "outcome"]
    assert (body["leaves"][0]["idx"], body["leaves"][0]["hash"]) == (body["call"]["idx"], body["call"]["hash"])
    assert ask(inspection, "/evidence/nowhere")[0] == 404
    assert ask(inspection, "/evidence/call-3", model="x")[0] == 400


def test_a_report_adds_up_and_is_bounded(inspection, monkeypatch):
    status, body = ask(inspection, "/evidence/report", by="model,user", top=1)
    assert (status, body["complete"], body["total"]["calls"]) == (200, True, 304)
    assert {name: len(rows) for name, rows in body["by"].items()} == {"model": 1, "user": 1}
    monkeypatch.setattr("jupiter_addons.inspection.MAX_REPORTED", 10)
    _, body = ask(inspection, "/evidence/report")
    assert (body["complete"], body["total"]["calls"]) == (False, 10)
    assert ask(inspection, "/evidence/report", by="colour")[0] == 400
    assert ask(inspection, "/evidence/report", model="o3")[1]["total"]["calls"] == 0 + 1


def test_who_asks_while_another_is_answered_is_told_to_come_again():
    going, go_on = threading.Event(), threading.Event()

    def paths():
        going.set()
        go_on.wait(10)
        return ()

    async def main():
        inspection = Inspection(paths, str)
        first = asyncio.ensure_future(inspection("/evidence", {}))
        await asyncio.to_thread(going.wait, 10)
        second = await inspection("/evidence", {})
        go_on.set()
        return (await first)[0], second[0], (await inspection("/evidence", {}))[0]

    assert asyncio.run(main()) == (200, 503, 200)


def test_who_hangs_up_keeps_nobody_from_asking():
    async def main():
        inspection = Inspection(lambda: (), str)
        gone = asyncio.ensure_future(inspection("/evidence", {}))
        await asyncio.sleep(0)
        gone.cancel()
        for _ in range(100):
            if (answer := await inspection("/evidence", {}))[0] == 200:
                return answer
            await asyncio.sleep(0.01)
        return None

    assert asyncio.run(main()) is not None


def test_a_record_that_cannot_be_read_is_said_so(tmp_path):
    inspection = Inspection(lambda: [tmp_path / "nowhere.db"], str)
    assert ask(inspection)[0] == 503
