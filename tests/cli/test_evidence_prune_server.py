"""`jupiter evidence prune` and `erase` where the evidence is in PostgreSQL, as the users of several hosts see it."""

import json
import time
from pathlib import Path

import pytest
from support.evidence import evidence, install_in, lines
from support.log_places import PostgresPlace
from support.logs import a_decision, an_outcome
from support.postgres import needs_postgres

from jupiter_addons.cli.options import configuration
from jupiter_addons.evidence.keyring import Subject
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.evidence.verify_bundle import verify
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_places import in_server
from jupiter_addons.storage.subject_keys import SubjectKeys, load_master

pytestmark = needs_postgres
CALLS = 400


def leaves(who):
    return [
        leaf
        for number in range(CALLS)
        for leaf in (a_decision(f"c{number}", who=who("alice")), an_outcome(f"c{number}"))
    ]


def forty_days_ago() -> int:
    return time.time_ns() - 40 * 86_400_000_000_000


@pytest.fixture
def place(tmp_path):
    place = PostgresPlace(tmp_path)
    yield place
    place.close()


@pytest.fixture
def config(place, tmp_path):
    more = f"evidence: {{url: '{place.url}', content: encrypted, retention: {{days: 30, allow_short: true}}}}\n"
    return install_in(place, tmp_path, leaves, more, clock=forty_days_ago)


def keys_of(config):
    return signing_keys.load_or_create(configuration(Path(config)).signing_dir)


def leaves_left(place):
    return place.sql("SELECT min(idx), count(*) FROM jupiter.leaf")[0]


def test_a_dry_run_changes_nothing_and_a_prune_leaves_a_log_that_verifies(config, place):
    before = leaves_left(place)
    assert lines(evidence(config, "prune", "--dry-run"))[0] == "would go: 768 leaves, 0 to 767 of 802"
    assert leaves_left(place) == before
    root = [str(signing_keys.load_root(configuration(Path(config)).signing_dir))]
    gone, stays = (evidence(config, "prove", call).stdout_bytes for call in ("c3", "c399"))
    done = evidence(config, "prune", "--yes")
    assert (done.exit_code, lines(done)[0]) == (0, "gone: 768 leaves, 0 to 767 of 802")
    assert leaves_left(place)[0] == 768
    verified = json.loads(evidence(config, "verify", "--format", "json").stdout)
    assert (verified["findings"], verified["pruned"], verified["kinds"]["prune"]) == ([], 768, 1)
    newest = [json.loads(line)["id"] for line in lines(evidence(config, "query", "--format", "json", "--all"))]
    assert newest == [f"c{number}" for number in range(399, 383, -1)]
    assert evidence(config, "prove", "c3").exit_code == 1
    for bundle in (gone, stays, evidence(config, "prove", "c399").stdout_bytes):
        assert len(verify(bundle, root)) == 2


@pytest.mark.parametrize(
    "statement", ["DELETE FROM jupiter.leaf WHERE idx < 780", "DELETE FROM jupiter.tile WHERE level = 0 AND n = 1"]
)
def test_what_goes_beyond_what_is_on_record_is_found(config, place, statement):
    assert evidence(config, "prune", "--yes").exit_code == 0
    place.sql(statement)
    done = evidence(config, "verify")
    assert done.exit_code == 1
    assert "prune: " in done.stdout


def test_a_hold_keeps_what_is_held_and_what_came_after(config, place):
    path = Path(config)
    path.write_text(path.read_text().replace("{days: 30", "{legal_hold: [{reason: case 7, team: lab}], days: 30"))
    done = evidence(config, "prune", "--yes")
    assert lines(done)[:2] == [
        "nothing goes",
        "leaves from 0 on stay: a call under legal hold: case 7; leaves go 256 at a time",
    ]


def test_what_a_gateway_writes_is_left_to_it_and_that_is_said(config, place):
    running = place.open(keys_of(config))
    done = evidence(config, "prune", "--yes")
    running.close()
    assert done.exit_code == 1
    assert "nothing is done: another process is writing the log" in done.stderr
    assert leaves_left(place)[0] == 0


def test_a_log_whose_process_was_killed_is_pruned_if_it_is_named(config, place):
    place.sql("UPDATE jupiter.log SET boot = 'killed'")
    refused = evidence(config, "prune", "--yes", "--format", "json")
    [(name, why)] = json.loads(refused.stdout)["refused"].items()
    assert (refused.exit_code, "has not closed it" in why) == (1, True)
    assert evidence(config, "prune", "--yes", "--abandoned", "another").exit_code == 2
    assert evidence(config, "prune", "--yes", "--abandoned", name).exit_code == 0
    assert leaves_left(place)[0] == 768


def test_logs_of_other_hosts_are_pruned_as_well(config, place, tmp_path):
    other = place.copied(tmp_path / "other-host/spool/0")
    log = other.open(keys_of(config))
    log.close()
    assert len(in_server(place.url)) == 2
    done = evidence(config, "prune", "--yes", "--format", "json")
    assert (done.exit_code, sorted(cut["leaves"] for cut in json.loads(done.stdout)["logs"].values())) == (0, [0, 768])


@pytest.fixture
def subject(config):
    settings = configuration(Path(config))
    keys = SubjectKeys(settings.subject_keys_path, load_master(settings.content_key_path, create=True))
    user = pseudonym(signing_keys.pseudonym_key(settings.signing_dir), "alice")
    keys.key_of(Subject("lab", user), 1)
    keys.close()
    return user


def test_a_user_is_forgotten_and_the_receipt_names_the_leaf(config, place, subject):
    done = evidence(config, "erase", "--subject", "alice", "--yes", "--format", "json")
    receipt = json.loads(done.stdout)
    assert (done.exit_code, receipt["subject"], len(receipt["keys"])) == (0, subject, 1)
    again = evidence(config, "erase", "--subject", "nobody", "--yes")
    assert "other hosts have keys of their own" in again.stdout
    [leaf, _] = [fields for row in place.rows() if (fields := json.loads(row.leaf))["kind"] == "erase"]
    assert (leaf["log"], leaf["idx"]) == (receipt["log"], receipt["idx"])
    verified = json.loads(evidence(config, "verify", "--format", "json").stdout)
    assert (verified["findings"], verified["kinds"]["erase"]) == ([], 2)


def test_who_is_under_legal_hold_is_not_forgotten_in_a_server_either(config, place, subject):
    path = Path(config)
    path.write_text(path.read_text().replace("{days: 30", "{legal_hold: [{reason: case 7, team: lab}], days: 30"))
    done = evidence(config, "erase", "--subject", "alice", "--yes")
    assert (done.exit_code, "under legal hold: case 7" in done.stderr) == (1, True)


def test_an_erasure_and_a_prune_go_together(config, place, subject):
    assert evidence(config, "erase", "--subject", "alice", "--yes").exit_code == 0
    assert evidence(config, "prune", "--yes").exit_code == 0
    verified = json.loads(evidence(config, "verify", "--format", "json").stdout)
    assert (verified["findings"], verified["pruned"]) == ([], 768)
