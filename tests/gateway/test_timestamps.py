"""A real gateway, a real time-stamping authority: how far the log had come is stamped, and no call waits for that."""

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest
from support.authority import TimestampAuthority, serving
from support.gateway import BIN, Gateway, Setup, start_gateway
from support.wire import Client, chat, post, wait_until

from jupiter_addons.evidence import verify_timestamp
from jupiter_addons.rehearsal.server import RehearsalThread
from jupiter_addons.storage.evidence_stamped import Stamps

CHAT = "/v1/chat/completions"


def jupiter(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "jupiter"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def asked(gateway: Gateway) -> str:
    with Client(gateway.port) as client:
        answer = client.ask(post(CHAT, chat(), gateway.key))
    assert answer.status == 200
    return answer.headers["x-jupiter-evidence-id"]


def counted(gateway: Gateway, result: str) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin_port}/metrics") as metrics:
        return f'jupiter_evidence_timestamps_total{{result="{result}"}}' in metrics.read().decode()


@pytest.mark.slow
def test_the_log_is_stamped_while_it_grows_and_when_it_ends(provider: RehearsalThread, tmp_path: Path):
    tsa, away = TimestampAuthority(tmp_path / "tsa"), [True]
    directory = tmp_path / "gateway"
    directory.mkdir()
    with serving(lambda query: (503, b"") if away else tsa.granted(query)) as url:
        entry = {"url": url, "ca_file": str(tsa.root), "every": "1s"}
        stamps = Stamps(directory / "state/anchors")
        with start_gateway(directory, provider.port, Setup(overrides={"evidence": {"timestamps": entry}})) as gateway:
            call = asked(gateway)
            assert wait_until(lambda: f"is not timestamped by `{url}`" in gateway.log, 60), gateway.log
            assert counted(gateway, "failed")
            away.clear()
            assert wait_until(lambda: any(True for _ in stamps.all()), 90), gateway.log
            assert wait_until(lambda: counted(gateway, "ok"), 30)
            assert wait_until(lambda: f"is timestamped by `{url}` again" in gateway.log, 30)
            size = max(one.size for one in stamps.all())
            asked(gateway)
            assert wait_until(lambda: max(one.size for one in stamps.all()) > size, 60), gateway.log
            bundle = jupiter("evidence", "prove", call, "--timestamped", "-c", str(gateway.config))
            assert verify_timestamp.verify(bundle.stdout.encode(), tsa.root)
            gateway.stop()
            whole = len(gateway.leaves())
            assert max(one.size for one in stamps.all()) == whole, "the last checkpoint of a log is stamped too"
            done = jupiter("evidence", "verify", "--format", "json", "-c", str(gateway.config))
            assert done.returncode == 0, done.stdout
            assert [one["size"] for one in json.loads(done.stdout)["timestamps"]][-1] == whole


def test_an_authority_that_nobody_vouches_for_ends_the_start(provider: RehearsalThread, tmp_path: Path):
    entry = {"url": "http://127.0.0.1:9/tsr", "ca_file": "nowhere.pem"}
    setup = Setup(ready=False, overrides={"evidence": {"timestamps": entry}})
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        assert gateway.process.wait(60) == 3
        assert "cannot read who vouches for timestamps" in gateway.log
