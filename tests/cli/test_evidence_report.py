"""`jupiter evidence report`, as its users see it."""

import json
import sqlite3
from pathlib import Path

import pytest
from support.evidence import evidence, install, lines
from support.logs import a_decision, an_outcome

from jupiter_addons.evidence.counted import counted

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


def test_budgets_are_replayed(config):
    text = evidence(config, "report", "--budgets", "--by", "day", "--names").stdout
    line = next(line for line in text.splitlines() if " alice " in line)
    assert line.split()[2:] == ["5.009000", "1.250210", "3.758790", "0.000000", "0.000000"]
    assert "PERIOD" not in text, "no call was counted under a limit"


def test_limits_are_replayed_period_by_period(tmp_path):
    taken = counted("team:lab", name="usd_per_month", unit="nusd", held=9, limit=5 * 10**10, period="2026-03@UTC")
    own = counted("user:alice", name="requests_per_minute", unit="requests", held=1, limit=60, period="60s")

    def leaves(who):
        decided = [a_decision(f"c{n}", who=who("alice"), taken=[taken, own]) for n in range(3)]
        return [*decided, *(an_outcome(f"c{n}", charge_nusd=10**9) for n in range(2))]

    config = install(tmp_path, leaves, IDENTITY)
    done = evidence(config, "report", "--budgets", "--by", "day", "--names")
    assert all(len(line) <= 120 for line in lines(done))
    [month] = [line.split() for line in lines(done) if line.startswith("2026-03@UTC")]
    assert month[1:] == ["usd_per_month", "team", "lab", "3", "USD", "2.000000", "USD", "50.000000"]
    [minute] = [line.split() for line in lines(done) if line.startswith("minute ")]
    assert minute[1:] == ["requests_per_minute", "user", "alice", "3", "2", "60"]
    found = json.loads(evidence(config, "report", "--budgets", "--format", "json").stdout)
    assert {row["name"]: row["still_held"] for row in found["limits"]} == {"usd_per_month": 9, "requests_per_minute": 1}


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
