"""`jupiter evidence verify --witness`: what witnesses have seen, and what it shows to be missing or another's."""

import json
import shutil
import sqlite3

import pytest
from support.evidence import evidence, install
from support.logs import a_decision, write_log
from support.witness import NOW_S, a_witness

from jupiter_addons.cli.evidence_witnesses import line
from jupiter_addons.evidence import checkpoint, note, verify_bundle
from jupiter_addons.evidence.checkpoint import Checkpoint
from jupiter_addons.evidence.cosignature import Cosigner, Witnessed, cosign
from jupiter_addons.evidence.signing import PublicKey, from_seed
from jupiter_addons.evidence.witness import request
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_cosigned import Cosigned
from jupiter_addons.storage.evidence_reader import Snapshot
from jupiter_addons.storage.witness_client import WitnessClient

WITNESS = from_seed("witness.example/w1", b"\x02" * 32)
COSIGNER = Cosigner(WITNESS.public)
KEY = str(COSIGNER)


@pytest.fixture
def place(tmp_path):
    return tmp_path, install(tmp_path)


def newest(directory) -> tuple[str, int, str]:
    with Snapshot(directory / "state/evidence.db") as snapshot:
        size, signed = snapshot.newest_checkpoint()
        return snapshot.origin, size, signed.decode()


def cosigned(directory) -> bytes:
    _, _, signed = newest(directory)
    return (signed + note.line(cosign(note.parse(signed.encode()).text, WITNESS, NOW_S))).encode()


def grow(directory, call: str) -> None:
    write_log(
        directory / "state/evidence.db", [a_decision(call)], signing_keys.load_or_create(directory / "state/signing")
    )


def bring_back(directory, data: bytes) -> None:
    for path in (directory / "state").glob("evidence.db*"):
        path.unlink()
    (directory / "state/evidence.db").write_bytes(data)
    shutil.rmtree(directory / "state/anchors", ignore_errors=True)


def checks(done) -> set[str]:
    return {found["check"] for found in json.loads(done.stdout)["findings"]}


def test_a_witness_that_had_seen_more_than_is_there_is_not_said_to_have_seen_it_of_that():
    seen = Witnessed(Checkpoint("jupiter/1", 501, b"r" * 32), "w", NOW_S)
    assert line(seen, 174) == "witness w had seen 501 leaves at 2023-11-14 22:13:20 UTC, and 174 are there"
    assert line(seen, 501) == "witness w had seen 501 of 501 leaves at 2023-11-14 22:13:20 UTC"


def test_what_a_witness_has_cosigned_is_as_good_as_an_anchor_and_is_told(place):
    directory, config = place
    _, size, _ = newest(directory)
    (directory / "kept").write_bytes(cosigned(directory))
    grow(directory, "later")
    arguments = ("verify", "--witness", str(directory / "kept"), "--witness-key", KEY)
    done = evidence(config, *arguments)
    assert done.exit_code == 0
    now = newest(directory)[1]
    assert f"witness witness.example/w1 had seen {size} of {now} leaves at 2023-11-14 22:13:20 UTC" in done.output
    found = json.loads(evidence(config, *arguments, "--format", "json").stdout)
    assert found["witnesses"] == [{"name": "witness.example/w1", "size": size, "time_s": NOW_S}]
    assert found["compared"] == ["witness `witness.example/w1`"]


def test_a_log_that_was_taken_back_is_a_rollback(place):
    directory, config = place
    old = (directory / "state/evidence.db").read_bytes()
    grow(directory, "later")
    (directory / "kept").write_bytes(cosigned(directory))
    bring_back(directory, old)
    done = evidence(config, "verify", "--witness", str(directory / "kept"), "--witness-key", KEY)
    assert done.exit_code == 1
    assert "BAD   log: rollback: witness `witness.example/w1` knows" in done.output
    assert evidence(config, "verify").exit_code == 4, "without the witness it would not show"


def test_two_logs_of_one_name_are_a_split_view(place):
    directory, config = place
    old = (directory / "state/evidence.db").read_bytes()
    grow(directory, "later")
    (directory / "kept").write_bytes(cosigned(directory))
    bring_back(directory, old)
    grow(directory, "another")
    grow(directory, "and more")
    done = evidence(config, "verify", "--format", "json", "--witness", str(directory / "kept"), "--witness-key", KEY)
    assert (done.exit_code, checks(done)) == (1, {"split-view"})
    assert evidence(config, "verify").exit_code == 4


def test_a_whole_log_made_anew_with_other_keys_is_found_by_what_the_witness_has_signed(place):
    directory, config = place
    origin, _, _ = newest(directory)
    (directory / "kept").write_bytes(cosigned(directory))
    shutil.rmtree(directory / "state")
    install(directory)
    arguments = ("verify", "--format", "json", "--witness", str(directory / "kept"), "--witness-key", KEY)
    done = evidence(config, *arguments)
    assert (done.exit_code, checks(done)) == (1, {"missing"})
    db = sqlite3.connect(directory / "state/evidence.db")
    db.execute("UPDATE meta SET value = ? WHERE name = 'origin'", (origin,))
    db.commit()
    db.close()
    assert "split-view" in checks(evidence(config, *arguments))


def test_a_witness_is_asked_about_every_log(place):
    directory, config = place
    origin, size, signed = newest(directory)
    log_key = signing_keys.load_or_create(directory / "state/signing").log.public
    logs = {origin: [PublicKey(origin, log_key.raw)]}
    with a_witness(directory, WITNESS, logs) as url:
        ask = ("verify", "--witness", url, "--witness-key", KEY)
        done = evidence(config, *ask)
        assert (done.exit_code, f"has never seen log `{origin}`" in done.output) == (4, True)
        assert "no witness has said how far a log had come" in done.output
        status, _ = WitnessClient(url).add_checkpoint(request(0, [], signed))
        assert status == 200
        done = evidence(config, *ask)
        assert (done.exit_code, f"had seen {size} of {size} leaves" in done.output) == (0, True)
        other = str(Cosigner(from_seed("w2", b"\x04" * 32).public))
        done = evidence(config, "verify", "--witness", url, "--witness-key", other)
        assert (done.exit_code, "has said nothing of log" in done.output) == (4, True)
    done = evidence(config, *ask)
    assert (done.exit_code, "gives no answer" in done.output) == (4, True)
    assert evidence(config, "verify", "--witness", url, "--witness-key", KEY, "--format", "json").exit_code == 4


def test_a_local_anchor_does_not_stand_in_for_a_witness_that_was_asked_for(place):
    directory, config = place
    (directory / "kept.checkpoint").write_text(newest(directory)[2])
    anchored = ("verify", "--checkpoint", str(directory / "kept.checkpoint"))
    assert evidence(config, *anchored).exit_code == 0
    assert evidence(config, *anchored, "--witness", "http://127.0.0.1:9", "--witness-key", KEY).exit_code == 4


def test_what_this_machine_has_kept_of_a_witness_is_compared_with_by_itself(tmp_path):
    config = install(tmp_path, more=f"evidence: {{witnesses: [{{key: {KEY}, url: 'http://127.0.0.1:9'}}]}}\n")
    assert evidence(config, "verify").exit_code == 4
    Cosigned(tmp_path / "state/anchors", [COSIGNER]).keep(cosigned(tmp_path), COSIGNER)
    done = evidence(config, "verify")
    assert (done.exit_code, "compared with witness `witness.example/w1`" in done.output) == (0, True)


@pytest.mark.parametrize(
    ("data", "key", "code"),
    [
        ("kept", "", 3),
        ("kept", str(Cosigner(from_seed("w2", b"\x04" * 32).public)), 3),
        ("kept", "nonsense", 2),
        ("plain", KEY, 3),
        ("none", KEY, 3),
    ],
)
def test_what_cannot_be_believed_is_an_error(place, data, key, code):
    directory, config = place
    (directory / "kept").write_bytes(cosigned(directory))
    (directory / "plain").write_text(newest(directory)[2])
    known = ("--witness-key", key) if key else ()
    assert evidence(config, "verify", "--witness", str(directory / data), *known).exit_code == code


def test_a_bundle_under_a_cosigned_checkpoint_has_all_cosignatures(tmp_path):
    other = from_seed("w2", b"\x04" * 32)
    entries = ", ".join(f"{{key: {Cosigner(key.public)}, url: 'http://127.0.0.1:9'}}" for key in (WITNESS, other))
    config = install(tmp_path, more=f"evidence: {{witnesses: [{entries}]}}\n")
    done = evidence(config, "prove", "--cosigned", "call-1")
    assert (done.exit_code, "no witness has cosigned that call" in done.output) == (3, True)
    kept = Cosigned(tmp_path / "state/anchors", [COSIGNER, Cosigner(other.public)])
    signed = cosigned(tmp_path)
    kept.keep(signed, COSIGNER)
    kept.keep(signed + note.line(cosign(note.parse(signed).text, other, 9)).encode(), Cosigner(other.public))
    whole = evidence(config, "prove", "--cosigned", "call-1").stdout_bytes
    root = str(signing_keys.load_root(tmp_path / "state/signing"))
    proved = verify_bundle.verify(whole, [root, KEY, str(Cosigner(other.public))])
    assert [leaf["kind"] for leaf in proved] == ["decision", "outcome"]
    data = json.loads(whole)["leaves"][0]["proof"].partition("\n\n")[2].encode()
    log_keys = signing_keys.load_manifest(tmp_path / "state/signing").keys("log").values()
    assert checkpoint.opened(data, log_keys, [COSIGNER, Cosigner(other.public)]).size == newest(tmp_path)[1]
    assert len(note.parse(data).signatures) == 3
