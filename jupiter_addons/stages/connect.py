"""The intercept door: which hosts are opened up, which are tunnelled blind, and which are refused.

The decision is made on the CONNECT target, the only name the proxy itself will dial.  What the client later says inside
(SNI, Host) must agree with it and is never used to choose.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy.layer import NextLayer

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import CONNECTS, Connect, Exchange
from jupiter_addons.host.dialling import is_local, is_public, resolve
from jupiter_addons.host.tunnel import BlindTunnel
from jupiter_addons.stages.stage import stage

logger = logging.getLogger("jupiter.tunnels")


@dataclass(frozen=True, slots=True)
class InterceptRules:
    """What the configuration says of the intercept door."""

    enabled: bool
    hosts: Mapping[str, str]
    """Host name, lower case -> provider name."""
    unknown_hosts: Literal["tunnel", "deny"]
    private_tunnels: bool = False
    own_ports: frozenset[int] = frozenset()
    """Where the gateway itself listens: no tunnel leads back to it, nor to its admin port."""


class ConnectTo:
    """CONNECT target -> opened, tunnelled or refused."""

    def __init__(self, rules: InterceptRules, record_tunnel: Callable[[Connect], Awaitable[None]]) -> None:
        self._rules = rules
        self._record_tunnel = record_tunnel

    @stage
    async def http_connect(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Grant or refuse a CONNECT."""
        host = flow.request.host.lower().rstrip(".")
        provider = self._rules.hosts.get(host)
        if not self._rules.enabled:
            x.refuse(Refusal("host_denied", "the intercept door is closed"))
        elif provider is None and self._rules.unknown_hosts == "deny":
            x.refuse(Refusal("host_denied", "this host is not allowed through the proxy"))
        elif (
            provider is None and (refusal := await self._unreachable(flow.request.host, flow.request.port)) is not None
        ):
            x.refuse(refusal)
        else:
            CONNECTS[flow.client_conn] = Connect(
                principal=x.principal,
                host=flow.request.host,
                port=flow.request.port,
                provider=provider,
                opened_us=time.time_ns() // 1000,
                opened_ns=time.monotonic_ns(),
            )

    @stage
    def requestheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Find the provider an intercepted request is for, and hold the client to the host it named."""
        x.intercepted = None
        if x.door != "intercept":
            return
        connect = CONNECTS.get(flow.client_conn)
        if connect is None:  # absolute-form, in the clear
            x.intercepted = self._rules.hosts.get(flow.request.host.lower()) if self._rules.enabled else None
            if x.intercepted is None:
                x.refuse(Refusal("host_denied", "this host is not allowed through the proxy"))
            return
        # The rules may have been reloaded since the CONNECT: the door can have been closed, or the host taken away.
        x.intercepted = self._rules.hosts.get(connect.host.lower().rstrip(".")) if self._rules.enabled else None
        if connect.provider is None or x.intercepted is None:
            x.refuse(Refusal("host_denied", "this host is not opened"))
        elif (flow.client_conn.sni or "").lower().rstrip(".") != connect.host.lower().rstrip("."):
            x.refuse(Refusal("sni_mismatch", "the TLS server name is not the host of the CONNECT"))

    async def _unreachable(self, host: str, port: int) -> Refusal | None:
        """Return why a tunnel would lead nowhere, while the client can still be told; the dial itself checks once more."""
        try:
            addresses = await resolve(host, port)
        except OSError as error:
            logger.warning("a tunnel was refused: its host cannot be resolved: %s", error)
            return Refusal("provider_error", "the name of this host cannot be resolved")
        if port in self._rules.own_ports and any(map(is_local, addresses)):
            return Refusal("host_denied", "this host is not allowed through the proxy")
        if self._rules.private_tunnels or all(map(is_public, addresses)):
            return None
        logger.warning(
            "a tunnel was refused: its host has an address that is not public; `intercept.private_tunnels` allows it"
        )
        return Refusal("host_denied", "this host has an address that is not public")

    def next_layer(self, nextlayer: NextLayer) -> None:
        """Relay a blind tunnel byte for byte; mitmproxy's own choice would open it."""
        connect = CONNECTS.get(nextlayer.context.client)
        if connect is not None and connect.provider is None and nextlayer.layer is None:
            nextlayer.layer = BlindTunnel(nextlayer.context, connect)

    async def client_disconnected(self, client: Client) -> None:
        """Record a blind tunnel when it ends."""
        connect = CONNECTS.pop(client, None)
        if connect is not None and connect.provider is None:
            await self._record_tunnel(connect)
