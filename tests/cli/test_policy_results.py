"""Results as lines, JSON and JUnit XML."""

import dataclasses
import xml.etree.ElementTree as ET

import pytest

from jupiter_addons.cli.policy_results import as_json, as_junit, show
from jupiter_addons.policy.cases import read_cases
from jupiter_addons.policy.trials import Coverage, Result

(TRIAL,) = read_cases("c.yaml", b"cases: [{name: x, expect: {verdict: allow}}]").trials
ODD = dataclasses.replace(TRIAL, name="a\x1b[31m<&\n")
RESULTS = [
    Result(TRIAL, "passed", seconds=0.25),
    Result(ODD, "failed", ("rule: expected null", "and \x00 more"), seconds=0.25),
    Result(TRIAL, "todo", ("its condition is false",)),
    Result(TRIAL, "skipped", ("the rule is off",)),
]
COVERED = Coverage({"p.yaml": ("a",)}, {"p.yaml": ("b", "c")})


def test_lines_say_what_failed_and_where(capsys):
    show(RESULTS, COVERED)
    assert capsys.readouterr().out.splitlines() == [
        "ok    c.yaml:1:9  x",
        "FAIL  c.yaml:1:9  a [31m<&",
        "      rule: expected null",
        "      and \x00 more",
        "todo  c.yaml:1:9  x: its condition is false",
        "skip  c.yaml:1:9  x: the rule is off",
        "1 of 3 rules fired in p.yaml",
        "      never: b",
        "      never: c",
        "4 cases: 1 passed, 1 failed, 1 todo, 1 skipped",
    ]


def test_nothing_to_try_is_said(capsys):
    show([], None)
    assert capsys.readouterr().out == "0 cases: there are none\n"


def test_json_counts_and_places():
    found = as_json(RESULTS, COVERED)
    assert found["ok"] is False
    assert found["summary"] == {"cases": 4, "passed": 1, "failed": 1, "todo": 1, "skipped": 1}
    assert found["coverage"] == {"percent": 33.3, "files": {"p.yaml": {"fired": ("a",), "never": ("b", "c")}}}
    assert (found["cases"][1]["line"], found["cases"][1]["differences"][0]) == (1, "rule: expected null")
    assert "coverage" not in as_json(RESULTS[:1], None)


@pytest.mark.filterwarnings("default")
def test_junit_is_xml_whatever_names_hold():
    top = ET.fromstring(as_junit(RESULTS))
    assert {name: top.get(name) for name in ("tests", "failures", "skipped", "time")} == {
        "tests": "4",
        "failures": "1",
        "skipped": "2",
        "time": "0.500000",
    }
    (suite,) = top
    assert [[child.tag for child in case] for case in suite] == [[], ["failure"], ["skipped"], ["skipped"]]
    assert suite[1].get("name").startswith("a\N{REPLACEMENT CHARACTER}[31m<&")
    assert suite[1][0].get("message") == "rule: expected null"
