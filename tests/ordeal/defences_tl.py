"""The switches of the rows TL: whose certificate is believed, and who is spoken to."""

from typing import Any

from __main__ import defence  # defences.py, run as a program, of which this is a part


@defence
def upstream_verification() -> None:
    """A provider is whoever answers, in whatever TLS there ever was."""
    from mitmproxy.net import tls

    original = tls.create_proxy_server_context

    def believing(**how: Any) -> Any:
        return original(**{**how, "verify": tls.Verify.VERIFY_NONE})

    tls.create_proxy_server_context = believing  # type: ignore[assignment]


@defence
def sni_check() -> None:
    """What a client names in its handshake need not be what it asked the tunnel for."""
    from mitmproxy.connection import Client

    from jupiter_addons.exchange import CONNECTS

    Client.sni = property(  # type: ignore[assignment]
        lambda self: connect.host if (connect := CONNECTS.get(self)) else None, lambda self, value: None
    )
