"""What becomes of a gateway whose anchors cannot be written: it does not start without, and goes on if they go."""

from pathlib import Path

import pytest
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, chat, post, wait_until

from jupiter_addons.rehearsal.server import RehearsalThread


def status(gateway: Gateway) -> int:
    with Client(gateway.port) as client:
        return client.ask(post("/v1/chat/completions", chat(), gateway.key)).status


@pytest.mark.parametrize(("way", "code"), [("jupiter", 3), ("mitmdump", 1)])
def test_a_start_that_cannot_anchor_is_refused_with_a_sentence(way, code, provider: RehearsalThread, tmp_path: Path):
    (tmp_path / "anchors").write_text("in the way")
    setup = Setup(way=way, ready=False, overrides={"evidence": {"anchor_path": "anchors"}})
    with start_gateway(tmp_path, provider.port, setup) as gateway:
        assert gateway.process.wait(60) == code
        assert "cannot write the anchor of `jupiter/" in gateway.log
        assert "`evidence.anchor_path` names a directory that this user can write to" in gateway.log
        assert way != "jupiter" or "Traceback" not in gateway.log
    assert gateway.report().findings == []


def test_anchors_that_go_while_it_runs_are_said_and_no_call_is_refused(provider: RehearsalThread, tmp_path: Path):
    anchors = tmp_path / "anchors"
    with start_gateway(tmp_path, provider.port, Setup(overrides={"evidence": {"anchor_path": "anchors"}})) as gateway:
        assert status(gateway) == 200
        anchors.rename(tmp_path / "gone")
        anchors.write_text("in the way")
        assert status(gateway) == 200
        assert wait_until(lambda: "is not anchored" in gateway.log, 30), gateway.log
        assert status(gateway) == 200
        anchors.unlink()
        (tmp_path / "gone").rename(anchors)
        assert wait_until(lambda: "is anchored again" in gateway.log, 30), gateway.log
        assert gateway.stop() == 0
