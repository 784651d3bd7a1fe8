"""`jupiter evidence witness`: making a key, and telling a witness of our logs; `serve` is in the gateway's tests."""

from click.testing import CliRunner
from support.evidence import evidence, install, lines

from jupiter_addons.cli.main import cli
from jupiter_addons.evidence.cosignature import parse_cosigner
from jupiter_addons.evidence.witness import parse_logs
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import Snapshot


def witness(*arguments: str):
    return CliRunner().invoke(cli, ["evidence", "witness", *arguments])


def test_a_key_is_made_and_printed(tmp_path):
    place = str(tmp_path / "w")
    assert witness("keys", "--dir", place).exit_code == 3
    made = witness("keys", "--dir", place, "--name", "witness.example/w1")
    assert made.exit_code == 0 and parse_cosigner(made.stdout).name == "witness.example/w1"
    assert witness("keys", "--dir", place).stdout == made.stdout
    assert witness("keys", "--dir", place, "--name", "other").exit_code == 3
    assert witness("keys", "--dir", str(tmp_path / "x"), "--name", "a b").exit_code == 2


def test_a_witness_is_told_of_each_log_and_each_key_that_is_not_revoked(tmp_path):
    config = install(tmp_path)
    with Snapshot(tmp_path / "state/evidence.db") as snapshot:
        origin = snapshot.origin
    found = evidence(config, "witness", "logs")
    first = parse_logs(found.stdout)
    assert (found.exit_code, list(first), len(lines(found))) == (0, [origin], 1)
    state = tmp_path / "state/signing"
    signing_keys.rotate(state, state / "root.key", ["log"], 10**15)
    assert len(parse_logs(evidence(config, "witness", "logs").stdout)[origin]) == 2
    signing_keys.rotate(state, state / "root.key", ["log"], 2 * 10**15, revoke=True)
    assert len(parse_logs(evidence(config, "witness", "logs").stdout)[origin]) == 2


def test_one_that_cannot_serve_says_why(tmp_path):
    (tmp_path / "logs").write_text("nonsense")
    logs = ["--logs", str(tmp_path / "logs")]
    assert witness("serve", "--dir", str(tmp_path), *logs).exit_code == 3
    assert witness("serve", "--dir", str(tmp_path), *logs, "--listen", "8077").exit_code == 2
    witness("keys", "--dir", str(tmp_path), "--name", "w")
    done = witness("serve", "--dir", str(tmp_path), *logs)
    assert (done.exit_code, "cannot read the list of logs" in done.output) == (3, True)
