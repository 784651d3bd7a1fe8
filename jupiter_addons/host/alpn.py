"""The protocol a client is spoken to in: one it has offered, or none at all.

mitmproxy goes on in HTTP/1 with a client that has offered protocols and none of ours; what it would then say is not what it
announced.  RFC 7301, section 3.2, asks for an alert.
"""

from typing import Any

from mitmproxy.addons import tlsconfig
from OpenSSL import SSL

stock = tlsconfig.alpn_select_callback


def alpn_select_callback(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """Choose as stock does; refuse the handshake where it finds nothing in common."""
    chosen = stock(connection, offered)
    if chosen is SSL.NO_OVERLAPPING_PROTOCOLS:
        raise SSL.Error([("SSL routines", "", "no application protocol")])
    return chosen
