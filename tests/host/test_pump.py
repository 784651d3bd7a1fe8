"""Our handler against mitmproxy's own: the same conversations, over real sockets, come to the same bytes and hooks.

All handlers talk in one process of their own (`handlers.py`), the stock one first, before any of ours is put in place.
`pump` is ours above mitmproxy's layers, with every switch of `Speed` off; then each switch is on by itself, then all.  `host`
is the whole of ours, layers and guard as well, in front of a chain that lets everything through: where it is meant to differ
is listed below, with the reason.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from host.conversations import CONVERSATIONS
from mitmproxy.connection import Server

from jupiter_addons.host.pump import Pump
from jupiter_addons.host.state import Host, Speed

SWITCHES = [
    "direct_hooks",
    "inline_hooks",
    "direct_layers",
    "coalesced_writes",
    "fast_headers",
    "unchecked_types",
    "tuned_collector",
]
PUMPS = ["pump", *SWITCHES, "all"]

ORDER = {"server_disconnected"}
"""Compared as such, but not in its place among the others: stock tells it when the connection's task has been cancelled, we
tell it when the connection is closed.  What a hook finds in its flow does not depend on it."""

NOT_OURS = {
    "server_disconnected": "a connection that is fit for another request goes to the pool instead",
    "tcp_start": "a blind tunnel is relayed without a flow",
    "tcp_message": "as above",
    "tcp_end": "as above",
}
"""Hooks of stock that the host does not have."""
OURS_ALONE = {"upstream_attempt_failed": "whoever could name another provider is asked first"}
OTHER_HOOKS = {
    "provider_aborts_within_its_answer": "`responseheaders` is not asked for a whole answer before it is whole: it can still fail over",
}
"""Conversations in which stock has more hooks than the host, beside those above."""
OTHER_BYTES = {
    "provider_aborts_before_its_answer": "errors are JSON in the client's dialect, and name no server",
    "provider_aborts_within_its_answer": "as above",
    "provider_aborts_within_a_stream": "a stream that breaks ends with an error event, not with silence",
    "nobody_listens": "errors are JSON, and 503: there is nobody to ask",
}
"""What clients get that is not stock's."""


@pytest.fixture(scope="module")
def runs() -> dict[str, Any]:
    """Everything that came of every conversation through every handler."""
    program = Path(__file__).with_name("handlers.py")
    done = subprocess.run(
        [sys.executable, str(program), "stock", *PUMPS, "host"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def names(run: dict[str, Any]) -> list[str]:
    return [hook[0] for hook in run["hooks"]]


def test_every_switch_of_the_host_is_compared():
    assert set(SWITCHES) == set(Speed.__slots__)


@pytest.mark.parametrize("talk", CONVERSATIONS)
def test_the_conversations_are_had_as_they_are_written(runs, talk: str):
    run = runs["stock"][talk]
    assert run["log"] == []
    assert names(run)[0] == "client_connected" and "client_disconnected" in names(run)
    assert "abort" in talk or talk in ("client_finishes_early", "client_says_nothing") or run["client"][0]


@pytest.mark.parametrize("talk", CONVERSATIONS)
@pytest.mark.parametrize("handler", PUMPS)
def test_the_pump_passes_the_bytes_that_stock_passes(runs, handler: str, talk: str):
    assert runs[handler][talk]["client"] == runs["stock"][talk]["client"]
    assert runs[handler][talk]["provider"] == runs["stock"][talk]["provider"]
    assert runs[handler][talk]["log"] == []


@pytest.mark.parametrize("talk", CONVERSATIONS)
@pytest.mark.parametrize("handler", PUMPS)
def test_the_pump_has_the_hooks_that_stock_has(runs, handler: str, talk: str):
    ours, stock = runs[handler][talk]["hooks"], runs["stock"][talk]["hooks"]
    assert [hook for hook in ours if hook[0] not in ORDER] == [hook for hook in stock if hook[0] not in ORDER]
    assert [hook for hook in ours if hook[0] in ORDER] == [hook for hook in stock if hook[0] in ORDER]


@pytest.mark.parametrize("talk", CONVERSATIONS)
def test_the_whole_host_sends_providers_what_stock_sends(runs, talk: str):
    assert runs["host"][talk]["provider"] == runs["stock"][talk]["provider"]
    assert runs["host"][talk]["log"] == []


@pytest.mark.parametrize("talk", CONVERSATIONS)
def test_the_whole_host_sends_clients_what_stock_sends_or_a_better_error(runs, talk: str):
    ours, stock = runs["host"][talk]["client"], runs["stock"][talk]["client"]
    if talk not in OTHER_BYTES:
        assert ours == stock
        return
    assert ours != stock, "this is no difference any more"
    assert "mitmproxy" not in ours[0] and "<html>" not in ours[0]
    if talk == "provider_aborts_within_a_stream":
        assert ours[0].startswith(stock[0]) and ours[0].endswith("data: provider_error\n\n\r\n0\r\n\r\n")
    else:
        assert "application/json" in ours[0] and json.loads(ours[0].partition("\r\n\r\n")[2])["error"]["code"]


@pytest.mark.parametrize("talk", CONVERSATIONS)
def test_the_whole_host_has_the_hooks_that_stock_has_but_for_those_listed(runs, talk: str):
    ours = [name for name in names(runs["host"][talk]) if name not in NOT_OURS and name not in OURS_ALONE]
    stock = [name for name in names(runs["stock"][talk]) if name not in NOT_OURS]
    if talk in OTHER_HOOKS:
        assert ours != stock, "this is no difference any more"
        stock.remove("responseheaders")
    assert ours == stock


def test_the_pump_dials_where_tasks_start_at_once():
    """`Master.run` sets that factory; asyncio's own happy eyeballs hang with it in Python 3.12.1."""

    async def dial() -> bool:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        loop.set_task_factory(asyncio.eager_task_factory)
        pump = Pump.__new__(Pump)
        pump._loop = loop
        try:
            async with asyncio.timeout(5):
                wire = await pump.dial(Server(address=server.sockets[0].getsockname()[:2]))
        finally:
            loop.set_task_factory(None)
            server.close()
        wire.abort()
        return True

    Pump.host = Host()
    assert asyncio.run(dial())
