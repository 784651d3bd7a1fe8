"""`jupiter evidence verify` and `prove` with timestamps: what each proves, and what is wrong with one that does not hold."""

import json
import shutil
from pathlib import Path

import pytest
from support.authority import TimestampAuthority
from support.evidence import evidence, install
from support.logs import a_decision, write_log

from jupiter_addons.evidence import verify_bundle, verify_timestamp
from jupiter_addons.evidence.timestamp import request
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import Snapshot
from jupiter_addons.storage.evidence_stamped import Stamps


@pytest.fixture(scope="module")
def tsa(tmp_path_factory):
    return TimestampAuthority(tmp_path_factory.mktemp("tsa"))


def grow(directory: Path, call: str) -> None:
    keys = signing_keys.load_or_create(directory / "state/signing")
    write_log(directory / "state/evidence.db", [a_decision(call)], keys)


def stamp(directory: Path, tsa: TimestampAuthority, over: bytes | None = None) -> int:
    with Snapshot(directory / "state/evidence.db") as log:
        size, note = log.newest_checkpoint()
        note = note.encode() if isinstance(note, str) else note
        Stamps(directory / "state/anchors").keep(log.origin, size, note, tsa.answer(request(over or note).der))
        return size


@pytest.fixture
def place(tmp_path, tsa):
    more = f"evidence: {{timestamps: {{url: 'https://tsa.example/tsr', ca_file: {tsa.root}}}}}\n"
    return tmp_path, install(tmp_path, more=more)


def checks(done) -> dict[str, str]:
    return {found["check"]: found["message"] for found in json.loads(done.stdout)["findings"]}


def test_each_timestamp_says_how_many_leaves_were_there_when_and_is_something_to_compare_with(place, tsa):
    directory, config = place
    assert evidence(config, "verify").exit_code == 4, "nothing is kept elsewhere"
    sizes = [stamp(directory, tsa)]
    for call in ("a", "b"):
        grow(directory, call)
        sizes.append(stamp(directory, tsa))
    done = evidence(config, "verify")
    assert done.exit_code == 0
    told = [line for line in done.stdout.splitlines() if "timestamp" in line]
    assert [line.partition(" leaves")[0] for line in told[1:3]] == [f"timestamp: {sizes[0]}", f"timestamp: {sizes[2]}"]
    assert "UTC, says CN=tsa,O=Tests" in told[1]
    assert "and 1 timestamp between" in told[3]
    assert evidence(config, "verify", "--timestamps").stdout.count("timestamp: ") == 3
    shown = json.loads(evidence(config, "verify", "--format", "json").stdout)
    assert [one["size"] for one in shown["timestamps"]] == sizes
    assert (shown["compared"], shown["timestamps_unchecked"]) == (["a timestamp"], 0)


def test_what_was_stamped_cannot_be_cut_off_or_rewritten_unseen(place, tsa):
    directory, config = place
    old = (directory / "state/evidence.db").read_bytes()
    grow(directory, "a")
    stamp(directory, tsa)
    (directory / "state/evidence.db").write_bytes(old)
    done = evidence(config, "verify", "--format", "json")
    assert (done.exit_code, set(checks(done))) == (1, {"truncated"})
    grow(directory, "other")
    done = evidence(config, "verify", "--format", "json")
    assert (done.exit_code, set(checks(done))) == (1, {"fork"})


def test_a_timestamp_that_does_not_hold_is_a_finding_that_says_why(place, tsa, tmp_path):
    directory, config = place
    size = stamp(directory, tsa)
    kept = Stamps(directory / "state/anchors")
    [one] = kept.all()
    for response, said in (
        (tsa.answer(request(b"other").der), "imprint"),
        (one.response[:-3] + b"\0\0\0", "authority"),
        (TimestampAuthority(tmp_path / "other").answer(request(one.note).der), "authority"),
        (b"", "response"),
    ):
        one.path.write_bytes(response)
        done = evidence(config, "verify", "--format", "json")
        assert (done.exit_code, set(checks(done))) == (1, {"timestamp"})
        assert f"the timestamp of {size} leaves" in checks(done)["timestamp"]
        assert f"does not hold: {said}" in checks(done)["timestamp"]
    one.path.write_bytes(one.response)
    forged = one.note.replace(b"\n%d\n" % size, b"\n%d\n" % (size + 1))
    one.path.with_suffix(".checkpoint").write_bytes(forged)
    one.path.write_bytes(tsa.answer(request(forged).der))
    assert "does not hold: the signature" in checks(evidence(config, "verify", "--format", "json"))["timestamp"]
    one.path.with_suffix(".checkpoint").write_bytes(one.note)
    one.path.write_bytes(one.response)
    for suffix in (".checkpoint", ".tsr"):
        one.path.with_suffix(suffix).rename(one.path.with_name(f"{size + 1:016d}{suffix}"))
    assert (
        f"does not hold: it is of {size} leaves" in checks(evidence(config, "verify", "--format", "json"))["timestamp"]
    )


def test_without_anybody_who_vouches_for_them_they_are_said_to_be_unverified(place, tsa, tmp_path):
    directory, config = place
    stamp(directory, tsa)
    Path(config).write_text(Path(config).read_text().partition("evidence:")[0])
    done = evidence(config, "verify")
    assert (done.exit_code, "1 timestamp is kept and not verified" in done.stdout) == (4, True)
    assert evidence(config, "verify", "--timestamp-ca", str(tsa.root)).exit_code == 0
    (tmp_path / "none.pem").write_text("none")
    done = evidence(config, "verify", "--timestamp-ca", str(tmp_path / "none.pem"))
    assert (done.exit_code, "cannot read who vouches for timestamps" in done.stderr) == (3, True)


def test_a_bundle_carries_the_oldest_timestamp_over_its_call(place, tsa, tmp_path):
    directory, config = place
    done = evidence(config, "prove", "call-1", "--timestamped")
    assert (done.exit_code, "no timestamp covers that call yet" in done.stderr) == (3, True)
    stamp(directory, tsa)
    grow(directory, "late")
    stamp(directory, tsa)
    data = evidence(config, "prove", "call-1", "--timestamped").stdout_bytes
    root = str(signing_keys.load_root(directory / "state/signing"))
    assert verify_bundle.verify(data, [root])
    assert verify_timestamp.verify(data, tsa.root).year >= 2024
    assert f"\\n{next(Stamps(directory / 'state/anchors').all()).size}\\n".encode() in data
    assert b"timestamp" not in evidence(config, "prove", "call-1").stdout_bytes
    assert evidence(config, "prove", "call-1", "--timestamped", "--cosigned").exit_code == 2
    shutil.rmtree(directory / "state/anchors")


def test_a_timestamp_that_does_not_hold_goes_into_no_bundle(place, tsa):
    directory, config = place
    stamp(directory, tsa, b"other")
    done = evidence(config, "prove", "call-1", "--timestamped")
    assert (done.exit_code, "does not hold: imprint" in done.stderr) == (3, True)
