"""A provider of one type behind a gateway with both doors.

At the gateway door there is only that provider.  At the intercept door a client means its own: where that is of the same type
it is the same server, asked with the client's own key; where it is not, it is down, and the provider of this world stands in.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from support.gateway import Gateway, Setup, start_gateway

from compat.clients import API
from jupiter_addons.cli.exec import variables
from jupiter_addons.rehearsal.journal import Entry
from jupiter_addons.rehearsal.server import RehearsalThread

Kind = Literal["openai", "openai-compatible", "anthropic", "ollama"]
Door = Literal["gateway", "intercept"]

KINDS: tuple[Kind, ...] = ("openai", "openai-compatible", "anthropic", "ollama")
DOORS: tuple[Door, ...] = ("gateway", "intercept")
HOSTS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic", "ollama.com": "ollama"}
"""Host of an unmodified client -> the type of provider it means."""
PROVIDER_KEY = "provider-key"
ANSWERED, OWN, STOOD_IN = "compat-1", "compat-own", "compat-out"
"""The models of the gateway door, of a client's own provider that is up, and of one that is down."""

NOWHERE = "http://127.0.0.1:9"
"""Where everybody else is, for a client that has only the gateway's address."""

QUIET = {
    "ANTHROPIC_LOG": "",
    "CI": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NEXT_TELEMETRY_DISABLED": "1",
    "OTEL_SDK_DISABLED": "true",
}
"""What keeps clients from calling anybody but the gateway."""


@dataclass
class World:
    """A running gateway and the provider that answers."""

    kind: Kind
    gateway: Gateway
    provider: RehearsalThread

    def own(self, api: API) -> bool:
        """Return whether the provider is of the type that clients of an API mean."""
        return api.partition("_")[0] == self.kind

    def model(self, door: Door, api: API) -> str:
        """Return the model that a client asks for."""
        return ANSWERED if door == "gateway" else OWN if self.own(api) else STOOD_IN

    def arrived(self, mark: str) -> list[Entry]:
        """Return the requests with this mark that reached the provider, in order."""
        return [entry for entry in self.provider.journal.entries if mark.encode() in entry.body]

    def environment(self, door: Door, home: Path) -> dict[str, str]:
        """Return the environment of a client at a door; nothing of ours leaks into it but the path of programs."""
        gateway, own = self.gateway, f"http://127.0.0.1:{self.gateway.port}"
        found = {"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", **QUIET}
        found["PYTHONDONTWRITEBYTECODE"] = "1"
        key = gateway.key if door == "gateway" else PROVIDER_KEY
        found |= dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OLLAMA_API_KEY"), key)
        if door == "gateway":
            hosts = {"OPENAI_BASE_URL": f"{own}/v1", "ANTHROPIC_BASE_URL": own, "OLLAMA_HOST": own}
            hosts |= {"HTTPS_PROXY": NOWHERE, "https_proxy": NOWHERE, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        else:
            hosts = {"OLLAMA_HOST": "https://ollama.com"}
            hosts |= variables(("127.0.0.1", gateway.port), gateway.key, Path(gateway.authority))
        return found | hosts


@contextlib.contextmanager
def start_world(kind: Kind, directory: Path) -> Iterator[World]:
    """Start the provider and the gateway in an empty directory."""
    with ExitStack() as stack:
        provider = stack.enter_context(RehearsalThread(api_key=PROVIDER_KEY))
        setup = Setup(overrides=_configuration(kind, provider.port))
        yield World(kind, stack.enter_context(start_gateway(directory, provider.port, setup)), provider)


def _configuration(kind: Kind, port: int) -> dict[str, Any]:
    url, down = f"http://127.0.0.1:{port}", "http://127.0.0.1:1"
    target = {"type": kind, "base_url": url, "api_key": PROVIDER_KEY, "models": [ANSWERED, STOOD_IN]}
    own = {
        f"own-{name}": {"type": name, "base_url": url, "models": [OWN]}
        if name == kind
        else {"type": name, "base_url": down, "models": [STOOD_IN]}
        for name in HOSTS.values()
    }
    price = {"input": "1", "output": "2"}
    return {
        "providers": {"target": target, **own},
        "intercept": {
            "hosts": {host: f"own-{name}" for host, name in HOSTS.items()},
            "unknown_hosts": "deny",
            "failover": True,
        },
        "processing": {"costs": {"overrides": dict.fromkeys([ANSWERED, OWN, STOOD_IN], price)}},
    }
