"""`jupiter evidence verify --archive`: a bucket and the root key are all it takes."""

import json

import pytest
from click.testing import CliRunner
from support.logs import SIGNING, a_decision, write_log
from support.s3 import ACCESS, Flaky

from jupiter_addons.addresses import archive_address
from jupiter_addons.cli.main import cli
from jupiter_addons.evidence import manifest
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.storage.archive_s3 import Bucket
from jupiter_addons.storage.evidence_archive import Archivist
from jupiter_addons.storage.evidence_places import snapshot

ROOT = from_seed("jupiter-root", b"\x09" * 32)


@pytest.fixture
def store(monkeypatch, tmp_path):
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    store = Flaky()
    yield store
    store.close()


def archive(store, directory) -> str:
    """Archive a log; return the URL."""
    write_log(directory / "e.db", [a_decision(f"c{n}") for n in range(300)])
    url = f"s3://b/p?endpoint={store.endpoint}&retention=1d"
    bucket = Bucket(archive_address(url))
    note = manifest.sign(SIGNING.manifest, ROOT).encode()
    archivist = Archivist(bucket, lambda: snapshot(directory / "e.db"), SIGNING, note)
    while archivist.step():
        pass
    bucket.close()
    return url


def run(*arguments: str):
    return CliRunner().invoke(cli, ["evidence", "verify", *arguments], catch_exceptions=False)


def test_an_archive_is_verified_without_a_configuration(store, tmp_path):
    url = archive(store, tmp_path)
    shown = run("--archive", url, "--root", str(ROOT.public))
    assert (
        shown.exit_code == 0
        and "302 leaves, 1 full segment, 10 objects: " in shown.stdout
        and "all as signed" in shown.stdout
    )
    key = next(key for key in store.kept if "tile/entries" in key)
    store.kept[key][0].data = b"x"
    shown = run("--archive", url, "--root", str(ROOT.public), "--format", "json")
    found = json.loads(shown.stdout)
    assert (shown.exit_code, found["ok"], found["logs"][0]["findings"][0]["check"]) == (1, False, "object")


@pytest.mark.parametrize(
    ("url", "said"), [("s3://", "is named like"), ("s3://b?x=1", "has no `x`"), ("s3://b?mode=none", "compliance, or")]
)
def test_what_is_no_archive_is_said(store, url, said):
    shown = run("--archive", url, "--root", str(ROOT.public))
    assert shown.exit_code == 2 and said in shown.stderr
