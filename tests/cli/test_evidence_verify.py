"""`jupiter evidence verify`: its exit codes, and what it says."""

import asyncio
import json
import shutil
import sqlite3

import pytest
from click.testing import CliRunner
from support.logs import a_decision, an_outcome

from jupiter_addons.cli.main import cli
from jupiter_addons.settings.load import load
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

CONFIG = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A directory with a log of one call, and no anchor."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jupiter.yaml").write_text(CONFIG)
    grow(tmp_path, "a")
    return tmp_path


def grow(place, call: str, log: str = "evidence.db") -> str:
    """Add a call; return the newest checkpoint."""
    keys = signing_keys.load_or_create(place / "state/signing")

    async def main():
        log_ = EvidenceLog(place / "state" / log, Identity(keys, "test", "0"))
        await log_.append(a_decision(call))
        await log_.append(an_outcome(call))
        log_.close()
        return log_.checkpoint

    return asyncio.run(main())


def anchor(place, note: str) -> None:
    settings = load(place / "jupiter.yaml")
    keys = signing_keys.load_manifest(settings.signing_dir).keys("log").values()
    Anchors(settings.anchor_dir, keys).keep(note)


def verify(*arguments: str):
    return CliRunner().invoke(cli, ["evidence", "verify", *arguments])


def as_json(*arguments: str):
    return json.loads(verify("--format", "json", *arguments).stdout)


def test_with_nothing_to_compare_with_that_is_said_and_is_code_4(place):
    done = verify()
    assert done.exit_code == 4
    assert "4 leaves (1 decision, 1 log.close, 1 log.open, 1 outcome): all as signed" in done.output
    assert "a missing end would not show; hint: evidence.anchor_path" in done.output
    found = as_json()
    assert (found["ok"], found["complete"], found["compared"]) == (True, False, [])


def test_with_an_anchor_all_is_in_order(place):
    anchor(place, grow(place, "b"))
    done = verify()
    assert done.exit_code == 0
    assert "compared with the anchor" in done.output
    assert max(map(len, done.output.splitlines())) <= 120


def test_a_checkpoint_from_elsewhere_is_as_good(place):
    (place / "kept.checkpoint").write_text(grow(place, "b"))
    grow(place, "c")
    assert verify("--checkpoint", "kept.checkpoint").exit_code == 0
    assert as_json("--checkpoint", "kept.checkpoint")["compared"] == ["kept.checkpoint"]
    (place / "kept.checkpoint").write_text("no checkpoint")
    done = verify("--checkpoint", "kept.checkpoint")
    assert (done.exit_code, "cannot be compared with" in done.output) == (3, True)


def test_what_is_wrong_is_named_and_is_code_1(place):
    anchor(place, grow(place, "b"))
    db = sqlite3.connect(place / "state/evidence.db")
    db.execute("DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)")
    db.commit()
    db.close()
    done = verify()
    assert done.exit_code == 1
    assert "BAD   log: truncated: the anchor knows" in done.output
    found = as_json()
    assert (found["ok"], {finding["check"] for finding in found["findings"]}) == (False, {"truncated"})


def test_one_finding_is_counted_as_one(place):
    db = sqlite3.connect(place / "state/evidence.db")
    db.execute("UPDATE leaf SET sig = zeroblob(64) WHERE idx = 1")
    db.commit()
    db.close()
    assert ": 1 finding\n" in verify().output


def test_a_log_that_is_gone_is_missed(place):
    anchor(place, grow(place, "b", "evidence-1.db"))
    assert verify().exit_code in (0, 4)
    for path in (place / "state").glob("evidence-1.db*"):
        path.unlink()
    done = verify()
    assert done.exit_code == 1
    assert "is gone; the anchor knows it" in done.output


def test_it_goes_on_where_it_ended(place):
    first = as_json("--resume", "state.json")
    grow(place, "b")
    second = as_json("--resume", "state.json")
    assert (first["resumed_at"], second["resumed_at"]) == (0, first["size"])
    assert second["leaves"] == 8
    (place / "state.json").write_text("{}")
    assert verify("--resume", "state.json").exit_code == 3


def test_several_processes_come_to_the_same(place):
    assert as_json("--jobs", "2") == as_json("--jobs", "1") == as_json()


def test_a_root_that_is_known_is_not_taken_from_beside_the_keys(place):
    root = signing_keys.load_root(place / "state/signing")
    assert verify("--root", str(root)).exit_code == 4
    shutil.rmtree(place / "state/signing")
    signing_keys.load_or_create(place / "state/signing")
    assert verify("--root", str(root)).exit_code == 3
    assert verify("--root", "nonsense").exit_code == 2
