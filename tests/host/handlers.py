"""Have every conversation through mitmproxy's stock handler and through ours, and print what came of it.

    python handlers.py HANDLER…      with HANDLER one of those below, in one process, `stock` before anything is put in place

Prints JSON: handler -> conversation -> {"client": [bytes of each connection], "provider": […], "hooks": [name and facts of
each], "log": [what was logged as an error]}.  What a run has put into mitmproxy's modules is taken out again after it.
"""

import asyncio
import dataclasses
import gc
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from mitmproxy import hooks, http, master, options
    from mitmproxy.addons import core, next_layer, proxyserver
    from mitmproxy.connection import Client, Server
    from mitmproxy.proxy import layers, mode_servers, server_hooks
    from mitmproxy.proxy.layers import http as http_layers
    from mitmproxy.proxy.layers.http import _http1
    from mitmproxy.tcp import TCPFlow

sys.path.insert(0, str(Path(__file__).parents[1]))

from host.conversations import CONVERSATIONS, Ends

from jupiter_addons.exchange import CONNECTS, EXCHANGES, Connect, Exchange, Permit
from jupiter_addons.host import seams, shortcuts
from jupiter_addons.host.dialling import dial
from jupiter_addons.host.pump import Pump
from jupiter_addons.host.state import Host, Speed
from jupiter_addons.host.tunnel import BlindTunnel
from jupiter_addons.identity.principals import Principal

NOTHING = Speed(**{field.name: False for field in dataclasses.fields(Speed)})
PUMPS = {
    "pump": NOTHING,
    **{field.name: dataclasses.replace(NOTHING, **{field.name: True}) for field in dataclasses.fields(Speed)},
    "all": Speed(),
}
"""Our handler above stock layers: with every switch off, with each one on by itself, with all on."""

LAYERS: tuple[tuple[Any, str], ...] = (
    (http_layers, "HttpStream"),
    (http_layers, "Http1Server"),
    (http_layers, "Http2Server"),
    (http_layers, "Http1Client"),
    (http_layers, "Http2Client"),
    (layers, "HttpLayer"),
    (next_layer, "HttpLayer"),
    (_http1, "make_error_response"),
)
PATCHED: tuple[tuple[Any, str], ...] = (
    *LAYERS,
    (mode_servers, "ProxyConnectionHandler"),
    (mode_servers.AsyncioServerInstance, "listen"),
    (http.Headers, "get_all"),
    (http.Headers, "get"),
    (http.Headers, "__contains__"),
    (http.MessageData, "__post_init__"),
)


@contextmanager
def put_back() -> Iterator[None]:
    """Leave mitmproxy's modules and the collector as they were."""
    before = [(owner, name, vars(owner).get(name)) for owner, name in PATCHED]
    thresholds = gc.get_threshold()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
        for owner, name, value in before:
            if value is not None:
                setattr(owner, name, value)
            elif name in vars(owner):
                delattr(owner, name)


class Recorder:
    """Notes every hook, and what it was told."""

    def __init__(self) -> None:
        self.seen: list[list[Any]] = []
        for name in hooks.all_hooks:
            if name not in ("load", "configure", "running", "done", "update", "add_log"):
                setattr(self, name, lambda *subjects, name=name: self.note(name, *subjects))

    def note(self, name: str, subject: Any = None) -> None:
        """Note one."""
        self.seen.append([name, *facts(subject)])


def facts(subject: Any) -> list[Any]:
    """Return what there is to compare of a hook's subject."""
    if isinstance(subject, http.HTTPFlow):
        request, response = subject.request, subject.response
        sent = [request.method, request.path, (request.raw_content or b"").decode("latin-1")[:100]]
        answer = [response.status_code, (response.raw_content or b"").decode("latin-1")[:100]] if response else []
        return [*sent, *answer, subject.error.msg if subject.error else None, subject.live]
    if isinstance(subject, TCPFlow):
        last = subject.messages[-1] if subject.messages else None
        return [last.from_client, last.content.decode("latin-1")] if last else []
    if isinstance(subject, server_hooks.ServerConnectionHookData):
        server = subject.server
        return [server.state.name, server.error, server.timestamp_end is not None]
    if isinstance(subject, Client):
        return [subject.state.name, subject.timestamp_end is not None]
    return [type(subject).__name__]


class Streams:
    """Streams what is a stream, as stock does it."""

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Decide how a body is passed on."""
        if flow.response is not None and flow.response.headers.get("content-type") == "text/event-stream":
            flow.response.stream = True


class Governs:
    """A chain that lets everything through, as our layers want to be told."""

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Grant a blind tunnel."""
        host, port = flow.request.host, flow.request.port
        who = Principal("alice", "key")
        CONNECTS[flow.client_conn] = Connect(who, host, port, None, opened_us=0, opened_ns=0)

    def next_layer(self, data: Any) -> None:
        """Relay a tunnel blind."""
        connect = CONNECTS.get(data.context.client)
        if connect is not None:
            data.layer = BlindTunnel(data.context, connect)

    def request(self, flow: http.HTTPFlow) -> None:
        """Permit where the client wants to go."""
        request = flow.request
        EXCHANGES[flow].permit = Permit(request.scheme, request.host, request.port, request.raw_content or b"")

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Let the answer through."""
        x = EXCHANGES[flow]
        x.opened = True
        if flow.response is not None and flow.response.headers.get("content-type") == "text/event-stream":
            x.relay = Bytes()


class Bytes:
    """A relay that passes bytes on as they come."""

    begun = is_framed = True
    ending = cut = False

    def feed(self, data: bytes) -> list[bytes]:
        return [data]

    def drain(self) -> None:
        pass

    def finish(self) -> list[bytes]:
        return []

    def abort(self, refusal: Any) -> list[bytes]:
        return [b"data: " + refusal.code.encode() + b"\n\n"]


class Dialling(Pump):
    """The pump, dialling as the guard does: asyncio's own way with several addresses hangs in some Pythons."""

    async def dial(self, server: Server) -> Any:
        """Return a connection."""
        assert server.address is not None
        return await dial(server.address[:2], lambda: None)


async def nothing_to_close(_flow: http.HTTPFlow, _x: Exchange) -> None:
    pass


def put_in_place(handler: str) -> list[object]:
    """Install a handler; return the addons it needs."""
    if handler == "stock":
        return [Streams()]
    if handler == "host":
        host = Host(close=nothing_to_close, private_tunnels=True)
        seams.install(host)
        shortcuts.tune_collector(host.speed)
        return [Governs()]
    Pump.host = Host(speed=PUMPS[handler])
    stock = [(owner, name, vars(owner)[name]) for owner, name in LAYERS]
    seams.install(Pump.host)
    shortcuts.tune_collector(Pump.host.speed)
    for owner, name, value in stock:
        setattr(owner, name, value)
    mode_servers.ProxyConnectionHandler = Dialling
    return [Streams()]


class Errors(logging.Handler):
    """Keeps what is logged as an error: a layer that crashed, a task that failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(record.getMessage())


async def settle(server: proxyserver.Proxyserver) -> None:
    """Wait until no connection is left, and then for what its end has set off."""
    async with asyncio.timeout(30):
        while server.connections:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)


async def converse(handler: str) -> dict[str, Any]:
    """Have every conversation through one handler, with tasks that start at once, as `Master.run` has them."""
    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    found: dict[str, Any] = {}
    for name, talk in CONVERSATIONS.items():
        errors = Errors()
        logging.getLogger().addHandler(errors)
        recorder, server = Recorder(), proxyserver.Proxyserver()
        opts = options.Options(listen_host="127.0.0.1", listen_port=0)
        running = master.Master(opts)
        addons = put_in_place(handler)
        running.addons.add(core.Core(), server, *addons, next_layer.NextLayer(), recorder)
        opts.update(connection_strategy="lazy", tcp_hosts=[".*"] if name == "connect_tunnel" else [], rawtcp=False)
        await server.setup_servers()
        await running.running()
        async with Ends(server.listen_addrs()[0][1]) as ends:
            try:
                await talk(ends)
            except (ConnectionError, TimeoutError) as error:
                errors.lines.append(f"the conversation broke off: {error!r}")
            for end in ends.clients:
                end.vanish()
            await settle(server)
            port = str(ends.port)
            seen = json.loads(json.dumps(recorder.seen).replace(port, "PORT"))
            found[name] = {**ends.record(), "hooks": seen, "log": errors.lines}
        await server.servers.update([])
        await running.done()
        logging.getLogger().removeHandler(errors)
    return found


def main(handlers: list[str]) -> None:
    """Run each handler, and print everything."""
    found = {}
    for handler in handlers:
        with put_back():
            found[handler] = asyncio.run(converse(handler))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
