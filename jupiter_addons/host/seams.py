"""Where we enter mitmproxy, and the check that it still has the shape we enter through.

mitmproxy looks these names up in its modules each time it builds a handler, a stream or a server layer, so assigning to
them is enough; nothing is copied or forked.  They are private: another version may rename or reshape them without notice.
`check` compares the source of what we drive or override with what this version was written against and refuses to start
otherwise, because a seam that silently stopped working would fail open.
"""

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

from h2.connection import H2Connection
from mitmproxy import addonmanager, version
from mitmproxy.addons import next_layer, tlsconfig
from mitmproxy.proxy import layer, layers, mode_servers, server
from mitmproxy.proxy.layers import http as http_layers
from mitmproxy.proxy.layers import tcp
from mitmproxy.proxy.layers.http import _http1, _http2, _http_h2

from jupiter_addons.errors import HostError
from jupiter_addons.host import alpn, shortcuts
from jupiter_addons.host.edge import EdgeServer, error_response
from jupiter_addons.host.edge_http2 import EdgeHttp2
from jupiter_addons.host.guard import GuardedHandler
from jupiter_addons.host.http_layer import GuardedHttpLayer
from jupiter_addons.host.listener import listen_with
from jupiter_addons.host.state import Host
from jupiter_addons.host.stream import GuardedStream
from jupiter_addons.host.upstream_http1 import UpstreamHttp1
from jupiter_addons.host.upstream_http2 import UpstreamHttp2

SUPPORTED = "12.2.3"

_OWNERS: Mapping[str, Any] = {
    "HttpStream": http_layers.HttpStream,
    "HttpLayer": http_layers.HttpLayer,
    "Http1Connection": _http1.Http1Connection,
    "Http1Server": _http1.Http1Server,
    "Http1Client": _http1.Http1Client,
    "HttpClient": http_layers.HttpClient,
    "Http2Connection": _http2.Http2Connection,
    "Http2Server": _http2.Http2Server,
    "Http2Client": _http2.Http2Client,
    "BufferedH2Connection": _http_h2.BufferedH2Connection,
    "H2Connection": H2Connection,
    "Layer": layer.Layer,
    "ConnectionHandler": server.ConnectionHandler,
    "LiveConnectionHandler": server.LiveConnectionHandler,
    "AsyncioServerInstance": mode_servers.AsyncioServerInstance,
    "AddonManager": addonmanager.AddonManager,
    "ProxyConnectionHandler": mode_servers.ProxyConnectionHandler,
    "ServerInstance": mode_servers.ServerInstance,
    "TCPLayer": tcp.TCPLayer,
}

SHAPES: Mapping[str, str] = {
    "HttpStream._handle_event": "e3cbfef7310ae81f",
    "HttpStream.state_wait_for_request_headers": "3706d5d5ce01dcd4",
    "HttpStream.state_consume_request_body": "45459c1bbd8bdb1a",
    "HttpStream.state_wait_for_response_headers": "10e32e91b2948164",
    "HttpStream.state_consume_response_body": "5323db61dfc7e2e1",
    "HttpStream.start_response_stream": "b0de9e9a5ee27276",
    "HttpStream.state_stream_response_body": "3fb6320300d3ddd5",
    "HttpStream.send_response": "d581bc106152e369",
    "HttpStream.flow_done": "ad9969744785c572",
    "HttpStream.check_killed": "368cad352d1e82b6",
    "HttpStream.check_invalid": "ef0a126eef45d903",
    "HttpStream.handle_protocol_error": "59fc3b2eeeabf63a",
    "HttpStream.make_server_connection": "ddc7bc72f4d2fbc7",
    "HttpStream.handle_connect": "58ac37c8d346a2bf",
    "HttpStream.handle_connect_finish": "eb3a0054cb5b716e",
    "HttpStream.passthrough": "a6df32aba1ae251a",
    "HttpLayer._handle_event": "6ba31883cc7a06b3",
    "HttpLayer.event_to_child": "1095f6e1581d1780",
    "HttpLayer.make_stream": "654959c6e74548e1",
    "Http1Connection._handle_event": "2ac8db3e43ae743f",
    "Http1Connection.read_body": "aece271029af36e4",
    "Http1Connection.mark_done": "dc5ed395ce4f0763",
    "Http1Connection.wait": "c99d0494a840a2b6",
    "Http1Server.send": "cc218a1337c0f5cf",
    "Http1Server.read_headers": "3fe0945216bcf7bc",
    "Http1Server.mark_done": "94fd7ea388c88671",
    "ConnectionHandler.__init__": "ffb8e6c9e6c6d020",
    "LiveConnectionHandler.__init__": "2cb1077a21556ca9",
    "ConnectionHandler.handle_client": "01f1b7cc991c4711",
    "ConnectionHandler.open_connection": "5e0b3cbaf7a4030a",
    "ConnectionHandler.handle_connection": "95c3f93e9824e527",
    "ConnectionHandler.close_connection": "c0d10cc05dd65b80",
    "ConnectionHandler.hook_task": "9ac7970160526268",
    "ConnectionHandler.server_event": "a2b42657ebe8bf6d",
    "AsyncioServerInstance.listen": "7670a9038b44170d",
    "AsyncioServerInstance._start": "f96507081fa6236b",
    "AsyncioServerInstance._stop": "73df3f7e7fb2d941",
    "HttpLayer.get_connection": "1aa1c63e3175766c",
    "HttpLayer.register_connection": "deed6282affc431f",
    "HttpClient._handle_event": "bc1cae775a49a4fe",
    "Http1Client.send": "35d961e20d481204",
    "Http1Client.read_headers": "415454c5fa8b5981",
    "Http2Connection.__init__": "1614b5711609de26",
    "Http2Connection._handle_event": "a7f4a7a71d31074b",
    "Http2Connection.handle_h2_event": "f6b6a52b12548102",
    "Http2Connection.protocol_error": "461f5e7de9c9b687",
    "Http2Connection.close_connection": "44b76ed198e7916a",
    "Http2Server._handle_event": "7282fa18e70a3eaa",
    "Http2Server.handle_h2_event": "d24a023c678de6ce",
    "Http2Client._handle_event": "02de05a5b89f087b",
    "Http2Client.handle_h2_event": "ff6f4bd9271693b8",
    "BufferedH2Connection.__init__": "73fce8e17f54112a",
    "BufferedH2Connection.initiate_connection": "96af41e63f2d65bc",
    "BufferedH2Connection.receive_data": "7dd57c12dc7ead79",
    "H2Connection._receive_frame": "39b2e16b4fd74ed0",
    "H2Connection._prepare_for_sending": "6be16b5970454a30",
    "H2Connection._receive_goaway_frame": "de018f94938e1001",
    "Layer.handle_event": "fd88b0fb09ceddbb",
    "AddonManager.handle_lifecycle": "38c97e792d1db5b7",
    "AddonManager.trigger_event": "b763c59bc4992e33",
    "ProxyConnectionHandler.handle_hook": "9f8b52fd798203c9",
    "ServerInstance.handle_stream": "21eea06f208c752e",
    "TCPLayer.start": "b1418418362ceaa7",
    "TCPLayer.relay_messages": "3b3d49a9f63b7d40",
}
"""Function -> the first 16 hex digits of the SHA-256 of its source in the supported version."""


def digest(name: str) -> str:
    """Return the digest of a function named `Owner.function` as it is installed."""
    owner, function = name.split(".")
    try:
        source = inspect.getsource(inspect.unwrap(getattr(_OWNERS[owner], function)))
    except (AttributeError, OSError, TypeError) as error:
        raise HostError(f"mitmproxy {version.VERSION} has no `{name}`, which the guard is built on") from error
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def check() -> None:
    """Raise HostError unless the installed mitmproxy is the one the guard was written for."""
    changed = [name for name, expected in SHAPES.items() if digest(name) != expected]
    if changed or version.VERSION != SUPPORTED:
        raise HostError(
            f"mitmproxy {version.VERSION} is not the supported {SUPPORTED}"
            + (f": changed are {', '.join(changed)}" if changed else "")
            + f"; hint: pip install 'mitmproxy=={SUPPORTED}'"
        )


def _stock_listen() -> Any:
    return inspect.unwrap(mode_servers.AsyncioServerInstance.listen)


def install(host: Host) -> None:
    """Check, then put our classes in place of the stock ones, sharing `host`.  May be called again with another host."""
    check()
    shortcuts.install(host.speed)
    GuardedHandler.host = GuardedHttpLayer.host = GuardedStream.host = EdgeServer.host = EdgeHttp2.host = host
    names: tuple[tuple[Any, str, Any], ...] = (
        (mode_servers, "ProxyConnectionHandler", GuardedHandler),
        (http_layers, "HttpStream", GuardedStream),
        (http_layers, "Http1Server", EdgeServer),
        (http_layers, "Http2Server", EdgeHttp2),
        (http_layers, "Http1Client", UpstreamHttp1),
        (http_layers, "Http2Client", UpstreamHttp2),
        (layers, "HttpLayer", GuardedHttpLayer),
        (next_layer, "HttpLayer", GuardedHttpLayer),
        (mode_servers.AsyncioServerInstance, "listen", listen_with(_stock_listen(), host)),
        (_http1, "make_error_response", error_response),
        (tlsconfig, "alpn_select_callback", alpn.alpn_select_callback),
    )
    for module, name, ours in names:
        if not hasattr(module, name):
            raise HostError(f"mitmproxy {version.VERSION} has no `{module.__name__}.{name}`")
        setattr(module, name, ours)
