"""Who is asking: a Jupiter key becomes a principal, before the body is read and before anything is dialled.

At the gateway door the key is in `Authorization: Bearer` or `x-api-key`; at the intercept door it is the password of the
proxy credentials, once per CONNECT, and every request inside that tunnel is its opener's.  Headers that merely claim an
identity are never read.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import CONNECTS, Exchange
from jupiter_addons.identity.authenticate import authenticate, still_valid
from jupiter_addons.identity.credentials import Presented, from_proxy_authorization, presented
from jupiter_addons.identity.passes import Keys
from jupiter_addons.identity.principals import Principal, Profile
from jupiter_addons.stages.stage import stage


class Authenticate:
    """Credentials -> principal."""

    def __init__(self, keys: Keys, directory: Mapping[str, Profile]) -> None:
        self._keys = keys
        self._directory = directory

    @stage
    def http_connect(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Authenticate a CONNECT by its proxy credentials, or ask for them with 407."""
        self._by_proxy_credentials(flow, x)

    @stage
    def requestheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Authenticate a request: by its tunnel, its proxy credentials, or its key."""
        connect = CONNECTS.get(flow.client_conn)
        if connect is not None:
            refusal = still_valid(connect.principal.key_id, self._keys.current(), time.time())
            if refusal is None:
                x.principal = connect.principal
            else:
                x.refuse(refusal)
        elif x.door == "intercept":
            self._by_proxy_credentials(flow, x)
        else:
            self._settle(x, presented(flow.request.headers.items(multi=True)))

    def _by_proxy_credentials(self, flow: http.HTTPFlow, x: Exchange) -> None:
        values = flow.request.headers.get_all("proxy-authorization")
        outcome: Presented | Refusal
        if len(values) > 1:
            outcome = Refusal("conflicting_keys", "the request carries more than one proxy credential")
        else:
            outcome = from_proxy_authorization(values[0] if values else None)
        self._settle(x, outcome, status=407)

    def _settle(self, x: Exchange, outcome: Presented | Refusal, status: int | None = None) -> None:
        principal: Principal | Refusal
        if isinstance(outcome, Refusal):
            principal = outcome
        else:
            principal = authenticate(outcome, self._keys.current(), self._directory, time.time())
            if isinstance(principal, Refusal) and self._keys.renew():  # a key may be used as soon as it was made
                principal = authenticate(outcome, self._keys.current(), self._directory, time.time())
        if isinstance(principal, Refusal):
            x.refuse(replace(principal, status=status))
        else:
            x.principal = principal
