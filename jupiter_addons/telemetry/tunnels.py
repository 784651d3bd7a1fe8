"""Which hosts were asked for through the intercept door lately, and what became of it: `/tunnels` on the admin port.

    {"hosts": {"api.openai.com": {"opened": 3, "tls_failed": 2, "last": "2026-01-01T00:00:00Z"}}}

`opened`: opened up and governed.  `tls_failed`: opened up, and the client would not have our certificate; a tool that pins its
provider's looks like this, and one that does not know our authority.  `tunnelled`: passed on untouched.  `denied`: refused.
Clients name these hosts, so they are no labels of metrics, and only so many are remembered.
"""

import datetime
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

Fate = Literal["opened", "tls_failed", "tunnelled", "denied"]

MOST_HOSTS = 256
MOST_CHARS = 253
"""No host has a longer name (RFC 1035, section 2.3.4, without the final dot)."""


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Tunnels:
    """The tunnels of one process, by host; the host that was asked for least recently is forgotten first."""

    def __init__(self, utc_now: Callable[[], datetime.datetime] = _utc_now) -> None:
        self._utc_now = utc_now
        self._hosts: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def note(self, host: str, fate: Fate) -> None:
        """Count what became of a tunnel."""
        name = host.lower().rstrip(".")[:MOST_CHARS]
        entry = self._hosts.setdefault(name, {})
        entry[fate] = entry.get(fate, 0) + 1
        entry["last"] = self._utc_now().isoformat(timespec="seconds").replace("+00:00", "Z")
        self._hosts.move_to_end(name)
        if len(self._hosts) > MOST_HOSTS:
            self._hosts.popitem(last=False)

    def report(self) -> Mapping[str, Any]:
        """Return the hosts, the most recent last."""
        return {"hosts": {host: dict(entry) for host, entry in self._hosts.items()}}


def merge(reports: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return one report of several workers'."""
    hosts: dict[str, dict[str, Any]] = {}
    for report in reports:
        for host, entry in report["hosts"].items():
            whole = hosts.setdefault(host, {})
            for name, value in entry.items():
                whole[name] = max(whole.get(name, ""), value) if name == "last" else whole.get(name, 0) + value
    return {"hosts": dict(sorted(hosts.items(), key=lambda item: str(item[1]["last"])))}


TUNNELS = Tunnels()
"""The process's tunnels."""
