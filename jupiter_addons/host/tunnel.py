"""A blind tunnel: bytes through, counted, not looked at."""

from typing import Any

from mitmproxy.proxy import events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tcp import TCPLayer

from jupiter_addons.exchange import Connect


class BlindTunnel(TCPLayer):
    """mitmproxy's plain relay without a flow, counting both directions into the tunnel's `Connect`."""

    def __init__(self, context: Context, connect: Connect) -> None:
        super().__init__(context, ignore=True)
        self._connect = connect

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[Any]:
        """Count, then relay."""
        if isinstance(event, events.DataReceived):
            if event.connection is self.context.client:
                self._connect.bytes_up += len(event.data)
            else:
                self._connect.bytes_down += len(event.data)
        return super().handle_event(event)
