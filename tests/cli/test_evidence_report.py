"""`jupiter evidence report`, as its users see it."""

import json
import sqlite3
from pathlib import Path

import pytest
from support.evidence import evidence, install, lines

IDENTITY = "identity: {principals: {alice: {team: lab}}}\n"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return install(tmp_path_factory.mktemp("installation"), more=IDENTITY)


def test_it_says_what_calls_came_to_and_for_whom(config):
    text = evidence(config, "report").stdout
    assert "4 calls: " in text
    assert "1 denied before they were sent" in text
    assert "USD 1.250210; 903 tokens in, 84 out" in text
    for head in ("DAY", "TEAM", "USER", "MODEL", "PROVIDER", "RULE"):
        assert f"\n{head} " in text
    assert next(line for line in text.splitlines() if line.startswith("o3")).split()[-1] == "100.0%"


def test_lines_fit_a_terminal(config):
    assert all(len(line) <= 120 for line in lines(evidence(config, "report", "--budgets", "--check")))


def test_users_are_pseudonyms_unless_names_are_asked_for(config):
    assert "alice" not in evidence(config, "report").stdout
    named = evidence(config, "report", "--names", "--by", "user").stdout
    assert "\nalice " in named
    assert "\nhmac:" in named, "bob is not known here"


def test_a_report_can_be_of_some_calls_and_the_top_of_them(config):
    text = evidence(config, "report", "--by", "model", "--top", "1").stdout
    assert "and 1 more" in text
    assert "1 call: 1 refused" in evidence(config, "report", "--verdict", "deny").stdout
    assert evidence(config, "report", "--model", "none").stdout == "there are no such calls\n"


def test_budgets_are_replayed_and_what_is_missing_is_said(config):
    text = evidence(config, "report", "--budgets", "--by", "day", "--names").stdout
    line = next(line for line in text.splitlines() if " alice " in line)
    assert line.split()[2:] == ["5.009000", "1.250210", "3.758790", "0.000000", "0.000000"]
    assert "not in the record of this version" in text


def test_a_check_tallies_keys_and_finds_nothing_wrong(config):
    done = evidence(config, "report", "--check")
    assert done.exit_code == 0
    assert "all as signed" in done.stdout
    assert "name key evidence+" in done.stdout
    assert "gap" not in done.stdout


def test_a_check_of_a_log_that_was_changed_fails(tmp_path):
    config = install(tmp_path)
    with sqlite3.connect(Path(config).parent / "state/evidence.db") as db:
        db.execute("UPDATE leaf SET leaf = CAST(replace(CAST(leaf AS TEXT), 'call-1', 'call-x') AS BLOB) WHERE idx = 1")
    db.close()
    done = evidence(config, "report", "--by", "day", "--check", "--since", "2026-01-01")
    assert done.exit_code == 1
    assert "BAD: " in done.stdout
    assert "1 signature" in done.stdout


def test_json_has_everything(config):
    found = json.loads(evidence(config, "report", "--format", "json", "--budgets", "--check", "--names").stdout)
    assert found["total"]["cost_nusd"] == 1_250_210_000
    assert {row.get("name") for row in found["by"]["user"]} == {"alice", None}
    assert found["logs"]["evidence.db"]["findings"] == {}
    assert found["budgets"][0]["day"] == "1970-01-01"
