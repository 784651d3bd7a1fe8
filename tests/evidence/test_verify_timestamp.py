"""The verifier of timestamps that others run: alone, by OpenSSL, over what the bundle itself says it is under."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.authority import TimestampAuthority
from support.bundles import ROOT, a_bundle

from jupiter_addons.evidence import verify_bundle, verify_timestamp
from jupiter_addons.evidence.encoding import base64_of, from_base64
from jupiter_addons.evidence.timestamp import Authority, request

SCRIPT = Path(verify_timestamp.__file__)


@pytest.fixture(scope="module")
def tsa(tmp_path_factory):
    return TimestampAuthority(tmp_path_factory.mktemp("tsa"))


def canonical(whole) -> bytes:
    return (json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def stamped(tsa: TimestampAuthority, over: bytes | None = None) -> bytes:
    whole = json.loads(a_bundle())
    note = whole["leaves"][0]["proof"].partition("\n\n")[2].encode()
    return canonical({**whole, "timestamp": base64_of(tsa.answer(request(over or note).der))})


def run(tmp_path, data: bytes, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of the file where nothing of the project can be imported."""
    (tmp_path / "alone.py").write_text(SCRIPT.read_text())
    (tmp_path / "bundle.json").write_bytes(data)
    guard = "import sys, runpy; sys.modules['jupiter_addons'] = sys.modules['nacl'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", "-c", guard, "alone.py", "bundle.json", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)


def test_it_works_alone_and_says_when_the_checkpoint_was_there(tmp_path, tsa):
    data = stamped(tsa)
    done = run(tmp_path, data, str(tsa.root))
    whole = json.loads(data)
    note = whole["leaves"][0]["proof"].partition("\n\n")[2].encode()
    ours = Authority(tsa.root.read_bytes()).opened(from_base64(whole["timestamp"]), note)
    at = verify_timestamp.verify(data, tsa.root)
    assert int(at.timestamp()) == ours.time_us // 1_000_000, "two implementations agree"
    assert (done.returncode, done.stdout) == (
        0,
        f"proved: the checkpoint of the bundle was there at {at:%Y-%m-%d %H:%M:%S} UTC\n",
    )
    assert verify_bundle.verify(data, [str(ROOT.public)]), "the leaves are proved as without it"
    assert run(tmp_path, data).returncode == 2


def test_of_what_is_not_so_nothing_is_said_to_be_proved(tmp_path, tsa):
    other = TimestampAuthority(tmp_path / "other")
    whole = json.loads(stamped(tsa))
    raw = bytearray(from_base64(whole["timestamp"]))
    raw[-3] ^= 1
    tampered = canonical({**whole, "timestamp": base64_of(bytes(raw))})
    for data, ca_file in (
        (a_bundle(), tsa.root),
        (stamped(tsa, b"something else"), tsa.root),
        (stamped(tsa), other.root),
        (tampered, tsa.root),
        (canonical({**whole, "timestamp": "nonsense"}), tsa.root),
        (b"{}", tsa.root),
        (stamped(tsa), tmp_path / "nowhere.pem"),
    ):
        done = run(tmp_path, data, str(ca_file))
        assert (done.returncode, done.stdout.startswith("NOT PROVED: "), done.stderr) == (1, True, "")
