"""A gateway whose log was cut: it does not start, says where to look, and starts again once somebody has accepted that."""

import shutil
from pathlib import Path

from support.evidence import evidence
from support.gateway import Setup, start_gateway
from support.wire import Client, chat, post

from jupiter_addons.rehearsal.server import RehearsalThread


def test_a_log_that_was_cut_is_not_gone_on_with_until_it_is_given_up(provider: RehearsalThread, tmp_path: Path):
    database, kept = tmp_path / "state/evidence.db", tmp_path / "kept.db"
    for copy in (True, False):
        with start_gateway(tmp_path, provider.port) as gateway:
            with Client(gateway.port) as client:
                assert client.ask(post("/v1/chat/completions", chat(), gateway.key)).status == 200
            gateway.stop()
        if copy:
            shutil.copy(database, kept)
    for path in database.parent.glob("evidence.db*"):
        path.unlink()
    shutil.copy(kept, database)
    with start_gateway(tmp_path, provider.port, Setup(ready=False)) as gateway:
        assert gateway.process.wait(60) == 3
        assert "it has been cut, or an old copy of it brought back" in gateway.log
        assert "hint: jupiter evidence recover says what would be lost" in gateway.log
    assert evidence(str(gateway.config), "recover").exit_code == 1
    assert evidence(str(gateway.config), "recover", "--accept-fork").exit_code == 0
    with start_gateway(tmp_path, provider.port) as gateway:
        with Client(gateway.port) as client:
            assert client.ask(post("/v1/chat/completions", chat(), gateway.key)).status == 200
        gateway.stop()
        assert len([leaf for leaf in gateway.leaves("recover") if leaf["detail"]["size"] > 0]) == 1
        assert evidence(str(gateway.config), "verify").exit_code == 0
