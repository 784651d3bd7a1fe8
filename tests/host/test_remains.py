"""Nothing of a connection that has ended waits for the garbage collector."""

import gc
import weakref

from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, ConnectionState
from mitmproxy.proxy import layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import Http1Server, HTTPMode
from mitmproxy.test import taddons

from jupiter_addons.host.remains import take_apart


def test_layers_are_freed_when_they_were_taken_apart():
    with taddons.context(Proxyserver()) as tctx:
        client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
        context = Context(client, tctx.options)
    top = layers.modes.HttpProxy(context)
    inner = layers.HttpLayer(context.fork(), HTTPMode.regular)
    top.child_layer = inner
    server = inner.connections[client] = Http1Server(context.fork())
    server.state = server.read_headers  # holds itself, by its own method
    watched = [weakref.ref(layer) for layer in (top, inner, server)]
    gc.disable()
    try:
        take_apart(top)
        del top, inner, server, context
        assert [one() for one in watched] == [None, None, None]
    finally:
        gc.enable()
