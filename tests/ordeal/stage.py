"""What a row is given: gateways, providers and the gates that every one of them has to pass.

Gateways with the same configuration are shared between rows, because starting one takes a second; a row that harms its
gateway asks for one of its own.
"""

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from support.gateway import Gateway, Setup, start_gateway
from support.wire import Client, get, wait_until

from jupiter_addons.storage.evidence_reader import rows as evidence_rows

_BAD_LINE = re.compile(r"Traceback \(most recent|mitmproxy has crashed|Addon error|Task exception was never retrieved")
DEFENCES = Path(__file__).parent / "defences.py"


class Stage:
    """Where rows are run.

    `off` is the defence that is switched off in every gateway, for the self-test; `long` has rows repeat what is left to chance.
    """

    def __init__(self, off: str | None = None, *, long: bool = False) -> None:
        self.off = off
        self.long = long
        self.gates: dict[str, int] = {}
        self.figures: dict[str, object] = {}
        self._stack = ExitStack()
        self._shared: dict[str, Gateway] = {}
        self._current = ""

    @contextlib.contextmanager
    def acting(self, id: str) -> Iterator[None]:
        """Name the row whose faults and figures are counted now."""
        self._current, self.figures = id, {}
        yield

    def fail_gate(self, gate: str, count: int = 1) -> None:
        """Count what must not happen."""
        self.gates[gate] = self.gates.get(gate, 0) + count

    def note(self, name: str, figure: object) -> None:
        """Report a figure of the current row."""
        self.figures[name] = figure

    def gateway(self, provider_port: int, **overrides: Any) -> Gateway:
        """Return a running gateway in front of a provider, shared with every row that asks for the same."""
        key = json.dumps([provider_port, overrides], sort_keys=True)
        found = self._shared.get(key)
        if found is None or found.process.poll() is not None:
            found = self._shared[key] = self._stack.enter_context(self.own_gateway(provider_port, **overrides))
        return found

    @contextlib.contextmanager
    def own_gateway(self, provider_port: int, *, setup: Setup | None = None, **overrides: Any) -> Iterator[Gateway]:
        """Start a gateway for one row alone and inspect it when the row is over.

        Keyword arguments are sections of the configuration (`proxy={...}`), merged over the test configuration.
        """
        setup = setup or Setup()
        setup.overrides = {**setup.overrides, **overrides}
        if self.off is not None:
            setup.switch = DEFENCES
            setup.environment = {**setup.environment, "ORDEAL_OFF": self.off}
        directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ordeal-")))
        with start_gateway(directory, provider_port, setup) as running:
            try:
                yield running
            finally:
                self._inspect(running)

    def _inspect(self, gateway: Gateway) -> None:
        if gateway.process.poll() is None and not wait_until(lambda: open_holds(gateway) == 0, 10):
            self.fail_gate("open_holds", open_holds(gateway))
        gateway.stop()
        self.fail_gate("tracebacks", len(_BAD_LINE.findall(gateway.log)))
        if (gateway.directory / "state/evidence.db").exists():
            self.fail_gate("evidence_findings", len(gateway.report().findings))

    def check_permitted(self, gateway: Gateway, bodies: list[bytes]) -> None:
        """Count the bodies a provider saw that no durable decision or attempt names."""
        import hashlib

        leaves = b"".join(row.leaf for row in evidence_rows(gateway.directory / "state/evidence.db"))
        missing = [body for body in bodies if body and hashlib.sha256(body).hexdigest().encode() not in leaves]
        self.fail_gate("unpermitted_requests", len(missing))

    def close(self) -> None:
        """End and inspect every shared gateway."""
        self._stack.close()
        self._shared.clear()


def metric(gateway: Gateway, name: str) -> float:
    """Return a metric of a running gateway, summed over its labels."""
    with Client(gateway.admin_port) as client:
        text = client.ask(get("/metrics")).body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(rf"{name}[{{ ]", line))


def open_holds(gateway: Gateway) -> int:
    """Return how many reservations are open."""
    try:
        return int(metric(gateway, "jupiter_reservations_open"))
    except OSError:
        return 0
