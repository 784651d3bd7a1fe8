"""What became of the tunnels that clients asked for, by host: for whoever wonders why a tool does not get through.

Nothing here can refuse.
"""

from mitmproxy import http
from mitmproxy.tls import TlsData

from jupiter_addons.exchange import CONNECTS, Exchange
from jupiter_addons.stages.stage import watching
from jupiter_addons.telemetry.metrics import METRICS
from jupiter_addons.telemetry.tunnels import TUNNELS, Fate


class NoticeTunnels:
    """CONNECT -> a count by host."""

    @watching
    def http_connect(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Notice a tunnel that was granted or refused; without good credentials nobody asks for anything."""
        if x.filled("principal"):
            connect = CONNECTS.get(flow.client_conn)
            granted: Fate = "denied" if connect is None else "tunnelled" if connect.provider is None else "opened"
            _note(flow.request.host, granted)

    def tls_failed_client(self, data: TlsData) -> None:
        """Notice a client that would not have our certificate."""
        connect = CONNECTS.get(data.context.client)
        if connect is not None and connect.provider is not None:
            _note(connect.host, "tls_failed")


def _note(host: str, fate: Fate) -> None:
    METRICS.tunnels.labels(fate).inc()
    TUNNELS.note(host, fate)
