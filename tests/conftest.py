"""What all tests share: a real gateway on loopback, and the rule that nothing required is skipped where it counts.

With `CI=true` or `JUPITER_REQUIRE_ALL=1` a skipped test fails the session.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

from support.gateway import Gateway, start_gateway
from support.wire import Client

from jupiter_addons.rehearsal.server import RehearsalThread

# How fast a busy machine comes to an example is not what a property says.
settings.register_profile("patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="module")
def provider() -> Iterator[RehearsalThread]:
    """A rehearsal provider that wants the key `provider-key`."""
    with RehearsalThread(api_key="provider-key") as running:
        yield running


@pytest.fixture(scope="module")
def gateway(provider: RehearsalThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the provider, as `jupiter run` starts it."""
    with start_gateway(tmp_path_factory.mktemp("gateway"), provider.port) as running:
        yield running


@pytest.fixture
def client(gateway: Gateway) -> Iterator[Client]:
    """One raw connection to the gateway."""
    with Client(gateway.port) as connected:
        yield connected


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the session if something was skipped that must not be."""
    if os.environ.get("CI") != "true" and os.environ.get("JUPITER_REQUIRE_ALL") != "1":
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if skipped and session.exitstatus == 0:
        reporter.write_line(
            "skipped, and must not be here: " + ", ".join(report.nodeid for report in skipped), red=True
        )
        session.exitstatus = 1
