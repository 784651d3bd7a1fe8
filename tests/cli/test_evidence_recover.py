"""`jupiter evidence recover`: nothing is given up unless somebody says so, and what was is on record for good."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.evidence import evidence, install
from support.logs import a_decision, write_log

from jupiter_addons.cli import evidence_recover
from jupiter_addons.cli.options import configuration
from jupiter_addons.errors import StoreError
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_anchor import Anchors
from jupiter_addons.storage.evidence_reader import Snapshot
from jupiter_addons.storage.outbox import Outbox
from jupiter_addons.storage.sqlite import hold_lock


@pytest.fixture
def config(tmp_path):
    return install(tmp_path)


def grow(config: str) -> bytes:
    """Return the log as it was, after it has grown and was anchored."""
    settings = configuration(Path(config))
    old = settings.evidence_path.read_bytes()
    keys = signing_keys.load_or_create(settings.signing_dir)
    write_log(settings.evidence_path, [a_decision("late")], keys)
    with Snapshot(settings.evidence_path) as log:
        Anchors(settings.anchor_dir, keys.manifest.keys("log").values()).keep(log.newest_checkpoint()[1].decode())
    return old


def aside(config: str) -> list[str]:
    state = Path(config).parent / "state"
    return sorted({path.name.partition(".set-aside-")[0] for path in state.rglob("*.set-aside-*")})


def verified(config: str) -> tuple[int, dict]:
    done = evidence(config, "verify", "--format", "json")
    return done.exit_code, json.loads(done.stdout)


def test_where_nothing_is_wrong_there_is_nothing_to_recover_from(config):
    done = evidence(config, "recover", "--accept-fork")
    assert (done.exit_code, "nothing to recover from" in done.stdout, aside(config)) == (0, True, [])


def test_an_old_copy_is_told_and_nothing_changes_until_that_is_accepted(config):
    old = grow(config)
    Path(config).parent.joinpath("state/evidence.db").write_bytes(old)
    done = evidence(config, "recover")
    assert done.exit_code == 1
    assert "it has been cut, or an old copy of it brought back" in done.stdout
    assert "by its anchor: the last 4 are not there" in done.stdout
    assert "look for a newer copy" in done.stderr
    assert (aside(config), verified(config)[0]) == ([], 1)
    assert json.loads(evidence(config, "recover", "--format", "json").stdout)["troubles"][0]["leaves"] == 9

    done = evidence(config, "recover", "--accept-fork")
    assert (done.exit_code, aside(config)) == (0, ["evidence.db"])
    code, found = verified(config)
    assert (code, found["ok"], found["findings"]) == (0, True, [])
    [gone] = found["given_up"]
    assert (gone["size"], gone["known"], gone["kept_as"].startswith("evidence.db.set-aside-")) == (9, 13, True)
    assert gone["log"] != found["log"]
    assert "was given up and is kept as `evidence.db.set-aside-" in evidence(config, "verify").stdout
    assert evidence(config, "recover").exit_code == 0
    assert evidence(config, "query", "--format", "json").stdout == "", "its calls are in the file that was set aside"


def test_a_log_that_is_only_gone_is_missed_all_the_same(config):
    """Nobody has given it up: taking it away by hand is what the anchor is there to show."""
    grow(config)
    state = Path(config).parent / "state"
    for path in state.glob("evidence.db*"):
        path.unlink()
    settings = configuration(Path(config))
    write_log(settings.evidence_path, [a_decision("x")], signing_keys.load_or_create(settings.signing_dir))
    code, found = verified(config)
    assert (code, [one["check"] for one in found["findings"]]) == (1, ["missing"])


def test_a_damaged_file_and_an_anchor_that_is_none_are_set_aside(config):
    grow(config)
    state = Path(config).parent / "state"
    [anchor] = (state / "anchors").iterdir()
    anchor.write_text("nonsense")
    (state / "evidence.db").write_bytes(b"nonsense" * 2000)
    assert evidence(config, "recover").exit_code == 1
    assert evidence(config, "recover", "--accept-fork").exit_code == 0
    assert aside(config) == sorted([anchor.name, "evidence.db"])
    code, found = verified(config)
    assert (code, found["given_up"][0]["size"], found["given_up"][0]["log"]) == (0, -1, "")


@pytest.mark.parametrize("left", [b"nonsense" * 2000, None], ids=["overwritten", "cut"])
def test_of_a_file_that_cannot_be_read_it_is_told_what_is_known_elsewhere_and_that_is_given_up(config, left):
    grow(config)
    settings = configuration(Path(config))
    with Snapshot(settings.evidence_path) as log:
        origin, size = log.origin, log.size
    settings.evidence_path.write_bytes(left or settings.evidence_path.read_bytes()[:20_000])
    done = evidence(config, "verify")
    assert (done.exit_code, "hint: jupiter evidence recover" in done.stderr) == (3, True), done.stderr
    assert f"known   `{origin}` of {size} leaves, elsewhere" in evidence(config, "recover").stdout
    assert evidence(config, "recover", "--accept-fork").exit_code == 0
    code, found = verified(config)
    assert (code, found["findings"]) == (0, [])
    [known] = found["given_up"][0]["elsewhere"]
    assert (known["log"], known["size"], len(known["root"])) == (origin, size, 64)
    said = evidence(config, "verify").stdout
    assert f"elsewhere is known `{origin}` of {size} leaves" in said
    assert "nobody remembered" not in said


def test_a_log_that_is_only_gone_after_one_was_given_up_is_missed_all_the_same(config):
    grow(config)
    settings = configuration(Path(config))
    settings.evidence_path.write_bytes(b"nonsense" * 2000)
    assert evidence(config, "recover", "--accept-fork").exit_code == 0
    with Snapshot(settings.evidence_path) as log:
        second, note = log.origin, log.newest_checkpoint()[1].decode()
    keys = signing_keys.load_or_create(settings.signing_dir)
    Anchors(settings.anchor_dir, keys.manifest.keys("log").values()).keep(note)
    for path in settings.evidence_path.parent.glob("evidence.db*"):
        if ".set-aside-" not in path.name:
            path.unlink()
    write_log(settings.evidence_path, [a_decision("x")], keys)
    code, found = verified(config)
    assert (code, [one["check"] for one in found["findings"]]) == (1, ["missing", "missing"])
    assert any(second in one["message"] for one in found["findings"])


def test_keys_that_are_gone_are_made_anew_only_if_that_is_accepted(config):
    grow(config)
    state = Path(config).parent / "state"
    kept = state / "signing/pseudonym.key"
    pseudonym = kept.read_bytes()
    shutil.rmtree(state / "signing")
    (state / "signing").mkdir()
    kept.write_bytes(pseudonym)
    kept.chmod(0o600)
    done = evidence(config, "recover")
    assert (done.exit_code, "signed by keys that are not in" in done.stdout) == (1, True)
    assert not (state / "signing/keys.note").exists()
    assert evidence(config, "recover", "--accept-fork").exit_code == 0
    code, found = verified(config)
    assert (code, found["findings"]) == (0, [])
    assert found["given_up"][0]["size"] == 13
    assert kept.read_bytes() == pseudonym


@pytest.mark.parametrize("fails", ["set_aside", "set_anchors_aside"])
def test_what_was_given_up_before_something_failed_is_on_record_all_the_same(config, monkeypatch, fails):
    """Else it would only be gone: the next start finds nothing wrong."""
    old = grow(config)
    settings = configuration(Path(config))
    settings.evidence_path.write_bytes(old)
    really, found = evidence_recover.set_aside, evidence_recover._troubles(settings)

    def failing(*given):
        if fails == "set_aside" and given[0].path == settings.evidence_path:
            return really(*given)
        raise StoreError("no room")

    another = replace(found[0][0], path=settings.evidence_path.with_name("evidence-1.db"))
    monkeypatch.setattr(evidence_recover, "_troubles", lambda _: ([*found[0], another], found[1]))
    monkeypatch.setattr(evidence_recover, fails, failing)
    if fails == "set_anchors_aside":
        monkeypatch.setattr(evidence_recover, "_troubles", lambda _: found)
    done = evidence(config, "recover", "--accept-fork")
    assert (done.exit_code, "no room" in done.stderr, aside(config)) == (3, True, ["evidence.db"])
    left = Outbox(settings.outbox_path)
    [(_, fields)] = left.waiting()
    left.close()
    assert (fields["kind"], fields["detail"]["size"]) == ("recover", 9)


def test_while_a_gateway_runs_nothing_is_recovered(config):
    grow(config)
    held = hold_lock(configuration(Path(config)).evidence_path)
    done = evidence(config, "recover", "--accept-fork")
    held.close()
    assert (done.exit_code, "another process is writing" in done.stderr, aside(config)) == (3, True, [])
