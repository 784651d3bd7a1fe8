"""The smallest mitmproxy master that serves traffic: the chain, then only the addons it cannot do without.

`mitmdump` brings 37 addons; walking them costs two fifths of a request.
"""

import logging
from collections.abc import Sequence

from mitmproxy import master, options
from mitmproxy.addons import core, disable_h2c, errorcheck, next_layer, proxyserver, tlsconfig


class JupiterMaster(master.Master):
    """A master with the given addons in front of mitmproxy's own."""

    def __init__(self, opts: options.Options, addons: Sequence[object]) -> None:
        super().__init__(opts)
        self.addons.add(
            core.Core(),
            proxyserver.Proxyserver(),
            *addons,
            next_layer.NextLayer(),
            disable_h2c.DisableH2C(),
            tlsconfig.TlsConfig(),
            errorcheck.ErrorCheck(),
        )
        self._legacy_log_events.uninstall()  # formats every record a second time, for scripts older than mitmproxy 9
        logging.getLogger("mitmproxy.proxy.server").setLevel(logging.WARNING)  # three lines a connection otherwise
