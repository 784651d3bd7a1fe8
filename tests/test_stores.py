"""What is opened once is opened whole or not at all; what it does is tests/gateway/test_evidence.py's."""

import threading
from pathlib import Path

import pytest
from support.evidence import install
from support.wire import wait_until

from jupiter_addons import stores
from jupiter_addons.cli.options import configuration
from jupiter_addons.errors import StoreError
from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.stores import Stores

WITNESS = str(Cosigner(from_seed("w", b"\x01" * 32).public))
OPENED = (
    "KeyStore",
    "open_subject_keys",
    "Outbox",
    "_others",
    "_open_log",
    "Upkeep",
    "Passes",
    "RoutingState",
    "Alerts",
)


def threads(before: set[threading.Thread]) -> set[str]:
    return {one.name for one in set(threading.enumerate()) - before if one.name.startswith("evidence")}


@pytest.mark.parametrize("name", OPENED)
def test_a_fault_while_something_is_opened_leaves_nothing_open(name, tmp_path, monkeypatch):
    more = f"evidence: {{witnesses: [{{key: '{WITNESS}', url: 'http://127.0.0.1:9'}}]}}\n"
    settings, before = configuration(Path(install(tmp_path, more=more))), set(threading.enumerate())

    def fails(*_: object, **__: object) -> None:
        raise StoreError(f"{name} fails")

    with monkeypatch.context() as patched:
        patched.setattr(stores, name, fails)
        with pytest.raises(StoreError, match=f"{name} fails"):
            Stores(settings, "0")
    assert wait_until(lambda: not threads(before), 10), threads(before)
    opened = Stores(settings, "0")  # nobody holds the log
    assert {"evidence", "evidence-keeper", "evidence-errand-0"} <= threads(before)
    opened.close()
    assert wait_until(lambda: not threads(before) - {"evidence-errand-0"}, 10), (
        "a witness that is away may take its time"
    )
