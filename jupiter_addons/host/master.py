"""The smallest mitmproxy master that serves traffic: the chain, then only the addons it cannot do without.

`mitmdump` brings 37 addons; walking them costs two fifths of a request.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from mitmproxy import addonmanager, exceptions, master, options
from mitmproxy.addons import core, disable_h2c, errorcheck, next_layer, proxyserver, tlsconfig
from mitmproxy.hooks import Hook

from jupiter_addons.host.state import Speed

logger = logging.getLogger(__name__)


class FixedAddons(addonmanager.AddonManager):
    """An addon manager that knows who listens to what; stock asks every addon, twice, at every hook.

    The second time is for mitmproxy's user interfaces, which are not here.
    """

    def __init__(self, owner: master.Master) -> None:
        super().__init__(owner)  # type: ignore[no-untyped-call] # mitmproxy's own has no annotations
        self._listeners: dict[str, list[Callable[[Any], Any]]] = {}

    def register(self, addon: Any) -> Any:
        """See AddonManager."""
        self._listeners.clear()
        return super().register(addon)  # type: ignore[no-untyped-call] # as above

    def remove(self, addon: Any) -> None:
        """See AddonManager."""
        self._listeners.clear()
        super().remove(addon)  # type: ignore[no-untyped-call] # as above

    async def handle_lifecycle(self, event: Hook) -> None:
        """Call whoever listens, in order; an addon's fault is logged, and left to the guard."""
        listeners = self._listeners.get(event.name)
        if listeners is None:
            listeners = [function for addon in self.chain for _, function in self._iter_hooks(addon, event)]
            self._listeners[event.name] = listeners
        subject = getattr(event, _subject_of(event.__class__))  # type: ignore[arg-type] # classes can be keys
        for listener in listeners:
            try:
                pending = listener(subject)
                if pending is not None:
                    await pending
            except exceptions.AddonHalt:
                return
            except Exception:
                logger.exception("Addon error in `%s`", event.name)


@functools.cache
def _subject_of(kind: type[Hook]) -> str:
    """Return the name of what a hook is about; stock looks through the fields of the class at every hook."""
    (field,) = dataclasses.fields(kind)  # type: ignore[arg-type] # every hook is a dataclass
    return field.name


class JupiterMaster(master.Master):
    """A master with the given addons in front of mitmproxy's own."""

    def __init__(self, opts: options.Options, addons: Sequence[object], speed: Speed) -> None:
        super().__init__(opts)
        if speed.direct_hooks:
            self.addons = FixedAddons(self)
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
