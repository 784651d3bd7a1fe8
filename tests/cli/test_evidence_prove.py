"""`jupiter evidence prove`: what it writes is proved by the verifier that others run."""

import asyncio

import pytest
from click.testing import CliRunner
from support.logs import a_decision, an_outcome

from jupiter_addons.cli.main import cli
from jupiter_addons.evidence.verify_bundle import verify
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_sqlite import EvidenceLog, Identity

CONFIG = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1, models: [m]}}\n"
ATTEMPT = {
    "kind": "attempt",
    "id": "c1",
    "gen_ai": {"provider.name": "q"},
    "attempt": {"number": 2, "before": {"us": 1}},
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jupiter.yaml").write_text(CONFIG)
    keys = signing_keys.load_or_create(tmp_path / "state/signing")

    async def main():
        for name, calls in (("evidence.db", range(300)), ("evidence-1.db", range(300, 310))):
            log = EvidenceLog(tmp_path / "state" / name, Identity(keys, "test", "0"))
            await asyncio.gather(*(log.append(a_decision(f"c{n}")) for n in calls))
            if 1 in calls:
                await log.append(ATTEMPT)
            await asyncio.gather(*(log.append(an_outcome(f"c{n}")) for n in calls))
            log.close()

    asyncio.run(main())
    return tmp_path


def prove(*arguments: str):
    return CliRunner().invoke(cli, ["evidence", "prove", *arguments])


@pytest.mark.parametrize(
    ("call", "kinds"),
    [("c1", ["decision", "attempt", "outcome"]), ("c299", ["decision", "outcome"]), ("c305", ["decision", "outcome"])],
)
def test_a_call_is_proved_with_all_its_leaves_whichever_log_it_is_in(place, call, kinds):
    done = prove(call, "-o", "call.bundle")
    assert done.exit_code == 0
    root = str(signing_keys.load_root(place / "state/signing"))
    assert root in done.stderr
    leaves = verify((place / "call.bundle").read_bytes(), [root])
    assert ([leaf["kind"] for leaf in leaves], {leaf["id"] for leaf in leaves}) == (kinds, {call})
    assert prove(call).stdout_bytes == (place / "call.bundle").read_bytes()


def test_the_receipt_that_show_gives_is_the_same(place):
    done = CliRunner().invoke(cli, ["evidence", "show", "c1", "--receipt"])
    assert (done.exit_code, done.stdout_bytes) == (0, prove("c1").stdout_bytes)
    assert CliRunner().invoke(cli, ["evidence", "show", "nobody", "--receipt"]).exit_code == 1


def test_a_rotation_keeps_every_old_proof(place):
    root = str(signing_keys.load_root(place / "state/signing"))
    before = prove("c1").stdout_bytes
    signing_keys.rotate(place / "state/signing", place / "state/signing/root.key", ["record", "log"], 2**50)
    assert verify(before, [root])
    assert verify(prove("c1").stdout_bytes, [root])


def test_a_call_that_is_not_there_is_not_proved(place):
    done = prove("nobody")
    assert (done.exit_code, "there is no call" in done.output) == (1, True)
    assert prove("c1", "-o", "nowhere/call.bundle").exit_code == 3
