"""`jupiter evidence prune`, as its users see it."""

import json
import sqlite3
from pathlib import Path

import pytest
from support.evidence import evidence, install, lines
from support.logs import a_decision, an_outcome

from jupiter_addons.cli.options import configuration
from jupiter_addons.evidence.verify_bundle import verify
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.sqlite import hold_lock

TERMS = "evidence: {retention: {days: 30, allow_short: true}}\n"
CALLS = 400


@pytest.fixture
def config(tmp_path):
    def leaves(who):
        return [
            leaf
            for number in range(CALLS)
            for leaf in (a_decision(f"c{number}", who=who("alice")), an_outcome(f"c{number}"))
        ]

    return install(tmp_path, leaves, TERMS)


def leaves_left(config):
    with sqlite3.connect(configuration(Path(config)).evidence_path) as db:
        found = db.execute("SELECT min(idx), count(*) FROM leaf").fetchone()
    db.close()
    return found


def test_a_dry_run_says_what_would_go_and_why_the_rest_stays_and_changes_nothing(config):
    before = leaves_left(config)
    done = evidence(config, "prune", "--dry-run")
    assert done.exit_code == 0
    assert lines(done)[0] == "would go: 768 leaves, 0 to 767 of 802"
    assert lines(done)[1] == "leaves from 768 on stay: all of it is older than what is kept; leaves go 256 at a time"
    assert leaves_left(config) == before


def test_what_has_been_kept_long_enough_goes_and_the_log_still_verifies(config):
    done = evidence(config, "prune", "--yes")
    assert done.exit_code == 0, done.stderr
    assert lines(done)[0] == "gone: 768 leaves, 0 to 767 of 803"
    first, _ = leaves_left(config)
    assert first == 768
    verified = evidence(config, "verify", "--format", "json")
    assert verified.exit_code == 0, verified.stdout
    assert json.loads(verified.stdout)["findings"] == []
    newest = [json.loads(line)["id"] for line in lines(evidence(config, "query", "--format", "json", "--all"))]
    assert newest == [f"c{number}" for number in range(399, 383, -1)]
    again = json.loads(evidence(config, "prune", "--yes", "--format", "json").stdout)
    assert again["logs"]["evidence.db"]["leaves"] == 0


def test_bundles_from_before_hold_and_what_stays_can_be_proved_anew(config):
    root = [str(signing_keys.load_root(configuration(Path(config)).signing_dir))]
    gone, stays = (evidence(config, "prove", call).stdout_bytes for call in ("c3", "c399"))
    assert evidence(config, "prune", "--yes").exit_code == 0
    assert evidence(config, "prove", "c3").exit_code == 1
    for bundle in (gone, stays, evidence(config, "prove", "c399").stdout_bytes):
        assert len(verify(bundle, root)) == 2


@pytest.mark.parametrize("statement", ["DELETE FROM leaf WHERE idx < 780", "DELETE FROM tile WHERE n = 1"])
def test_what_goes_beyond_what_is_on_record_is_found(config, statement):
    assert evidence(config, "prune", "--yes").exit_code == 0
    with sqlite3.connect(configuration(Path(config)).evidence_path) as db:
        db.execute(statement)
    db.close()
    done = evidence(config, "verify")
    assert done.exit_code == 1
    assert "prune: " in done.stdout


def test_a_log_whose_beginning_was_taken_away_without_a_word_is_found(tmp_path):
    config = install(tmp_path, lambda who: [a_decision(f"c{number}", who=who("alice")) for number in range(600)])
    with sqlite3.connect(configuration(Path(config)).evidence_path) as db:
        db.execute("DELETE FROM leaf WHERE idx < 256")
    db.close()
    done = evidence(config, "verify")
    assert done.exit_code == 1
    assert "256 leaves at the beginning are gone, and no leaf says so" in done.stdout


def test_who_hesitates_deletes_nothing(config):
    assert evidence(config, "prune").exit_code == 130
    assert leaves_left(config)[0] == 0


def test_while_a_gateway_runs_it_prunes_itself(config):
    held = hold_lock(configuration(Path(config)).evidence_path)
    done = evidence(config, "prune", "--yes")
    held.close()
    assert done.exit_code == 3
    assert "another process is writing" in done.stderr
    assert "hint: a running gateway prunes by itself at `0 3 * * *`, UTC; else stop it first" in done.stderr
    assert leaves_left(config)[0] == 0


def test_while_a_gateway_without_a_schedule_runs_it_is_told_how_it_would_prune(config):
    Path(config).write_text(Path(config).read_text().replace("days: 30", "days: 30, schedule: null"))
    held = hold_lock(configuration(Path(config)).evidence_path)
    done = evidence(config, "prune", "--yes")
    held.close()
    assert "prunes by itself if evidence.retention.schedule is set; else stop it first" in done.stderr


@pytest.mark.parametrize("command", ["prove", "show"])
def test_of_a_call_that_is_not_there_it_is_said_that_it_may_have_been_pruned(config, command):
    assert "pruned" not in evidence(config, command, "nobody").stderr
    assert evidence(config, "prune", "--yes").exit_code == 0
    done = evidence(config, command, "c3")
    assert done.exit_code == 1
    said = (
        "there is no call `c3` on record; leaves 0 to 767 of evidence.db were pruned, and it may have been among them"
    )
    assert said in done.stderr


def test_without_terms_nothing_goes(tmp_path):
    done = evidence(install(tmp_path), "prune", "--yes")
    assert lines(done)[:1] == ["nothing goes"]
    assert "for ever" in done.stdout
