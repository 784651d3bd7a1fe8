"""The short form of the ordeal runs with the tests; and its frame counts, selects and reports as promised."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ordeal import suite
from ordeal.stage import Stage
from support.gateway import Setup, command

suite.load()
SHORT = suite.select([], short=True)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    found = Stage()
    yield found
    found.close()
    assert not {gate: count for gate, count in found.gates.items() if count}


@pytest.mark.parametrize("one", SHORT, ids=[row.id for row in SHORT])
def test_the_gateway_holds(one: suite.Row, stage: Stage):
    with stage.acting(one.id):
        one.run(stage)


def test_every_row_of_the_core_is_there():
    wanted = {
        *(f"IV-{n:02}" for n in (*range(6, 18), 21)),
        *(f"RF-{n:02}" for n in range(1, 22)),
        *(f"PB-{n:02}" for n in (3, 4, 13)),
        *(f"ST-{n:02}" for n in range(1, 11)),
        *(f"RE-{n:02}" for n in range(1, 12)),
        *(f"LC-{n:02}" for n in (1, 2, 8)),
        *(f"TL-{n:02}" for n in (3, 4, 5)),
        *(f"OV-{n:02}" for n in (1, 2, 4, 5, 6)),
        *(f"PB-{n:02}" for n in (14, 16)),
        *(f"EV-{n:02}" for n in range(1, 16)),
        *(f"SO-{n:02}" for n in range(1, 9)),
        *("LB-01M", "LB-01Q", "LB-01S", "LB-01ST", "LB-01R", "LB-01RT", "LB-01SK", "LB-01RK"),
        *("LB-08", "LB-09", "LB-11C", "LB-12", "LB-16L"),
        *(f"LB-{n:02}" for n in (*range(1, 8), 10, 11, *range(13, 23))),
    }
    assert wanted - set(suite.ROWS) == set()


def test_the_report_has_its_promised_shape():
    report = suite.Report(passed=["RF-01"], failed={"RF-02": "why"}, skipped={"ST-01": "no"})
    assert report.as_json()["groups"] == {
        "RF": {"passed": 1, "total": 2, "failed": ["RF-02"], "skipped": []},
        "ST": {"passed": 0, "total": 1, "failed": [], "skipped": ["ST-01"]},
    }
    assert set(report.as_json()["gates"]) == set(suite.GATES)
    assert not report.good


def test_a_row_that_skips_is_neither_passed_nor_failed_and_one_that_raises_has_failed():
    def skip(_stage: Stage) -> None:
        raise suite.Skipped("nothing here")

    def fail(_stage: Stage) -> None:
        raise AssertionError("fell short")

    rows = [suite.Row("ZZ-01", "skips", skip, None, False), suite.Row("ZZ-02", "fails", fail, None, False)]
    report = suite.run(rows, Stage(), lambda _line: None)
    assert report.skipped == {"ZZ-01": "nothing here"}
    assert report.failed["ZZ-02"].startswith("fell short (test_ordeal.py:")
    assert report.passed == []


def test_groups_and_rows_can_be_chosen_and_an_unknown_name_is_an_error():
    assert {row.id for row in suite.select(["TL", "RF-01"], short=False)} == {"TL-03", "TL-04", "TL-05", "RF-01"}
    with pytest.raises(LookupError, match="XX"):
        suite.select(["XX"], short=False)


def test_without_its_defence_a_row_goes_red():
    command = [sys.executable, str(Path(__file__).parent / "ordeal"), "--self-test", "--only", "IV-11"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "went red" in done.stdout


def test_one_object_is_printed_and_the_exit_code_says_whether_all_is_good():
    command = [sys.executable, str(Path(__file__).parent / "ordeal"), "--json", "--only", "IV-11"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["groups"]["IV"] == {"passed": 1, "total": 1, "failed": [], "skipped": []}
    assert not any(printed["gates"].values())


def test_a_defence_is_taken_away_before_a_rows_own_preamble_runs(tmp_path: Path):
    """Two preambles of one program; the self-test's once took the place of the row's."""
    setup = Setup(switch=Path("/ordeal/defences.py"), preamble=Path("/row/own.py"))
    python, *preambles = command(setup, tmp_path / "jupiter.yaml", tmp_path)[:3]
    assert preambles == ["/ordeal/defences.py", "/row/own.py"]
    assert python == sys.executable
