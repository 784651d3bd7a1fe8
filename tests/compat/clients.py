"""The clients of `clients.toml`."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from compat.calls import CALLS

API = Literal["openai_chat", "openai_responses", "anthropic", "ollama"]
AGENT_CALLS = {"stream", "stream_tools", "retries"}
TABLE = Path(__file__).with_name("clients.toml")


@dataclass(frozen=True, slots=True)
class Client:
    """One row of the table."""

    id: str
    name: str
    packages: tuple[str, ...]
    language: Literal["python", "node", "agent"]
    program: str
    api: API
    errors: str | None = None
    """The one class of all its errors; None for a class a status, as the official SDKs have it."""
    finish: tuple[str, str] | None = None
    """What it calls an end by itself and an end to call tools; None for the API's own words."""
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Call -> why the client does not offer it."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """`call` or `call:provider type` -> what the client wants there that no such provider can say."""
    headers: bool = True
    """Whether its errors have the headers of the answer, if they seem to."""
    late_usage: str | None = None
    """Why it may miss the input tokens of a stream that was translated."""
    note: str | None = None
    """What must be known of how it is run."""
    preload: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version of what the row is about."""
        return self.packages[0].replace("==", "@").rpartition("@")[2]

    @property
    def title(self) -> str:
        """What the table calls it."""
        name, comma, rest = self.name.partition(",")
        return f"{name} {self.version}{comma}{rest}"


def load(text: str) -> tuple[list[Client], str]:
    """Return the clients, and the version of Node that runs some of them.  Raises ValueError for an entry that says nothing."""
    document = tomllib.loads(text)
    clients = [_client(entry) for entry in document["client"]]
    if len({client.id for client in clients}) != len(clients):
        raise ValueError("two clients have the same id")
    return clients, document["node"]


def _client(entry: Mapping[str, Any]) -> Client:
    made = Client(**{name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()})
    if made.language == "agent":
        rest = dict.fromkeys(set(CALLS) - AGENT_CALLS, "an agent decides by itself what it asks for, and streams")
        made = replace(made, cannot={**rest, **made.cannot})
    if unknown := {name.partition(":")[0] for name in (*made.cannot, *made.refused)} - set(CALLS):
        raise ValueError(f"{made.id}: no such call: {', '.join(sorted(unknown))}")
    return made


def select(clients: Iterable[Client], only: Iterable[str]) -> list[Client]:
    """Return the clients named, by id or by how their ids begin; all if none is named.  Raises LookupError for a name of nobody."""
    every, wanted = list(clients), list(only)
    for name in wanted:
        if not any(client.id.startswith(name) for client in every):
            raise LookupError(f"no such client: {name}")
    return [client for client in every if not wanted or client.id.startswith(tuple(wanted))]
