"""A gateway for what is passed on: providers, of which the second is asked first, and calls with forms."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.forms import TYPE
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, post

from jupiter_addons.rehearsal.server import RehearsalThread

PRICE = {"input": "1", "output": "2"}


@dataclass
class Bench:
    gateway: Gateway
    provider: RehearsalThread

    @property
    def last(self) -> Any:
        return self.provider.journal.entries[-1]

    def ask(self, request: bytes, door: str = "gateway") -> Answer:
        if door == "gateway":
            with Client(self.gateway.port) as client:
                return client.ask(request)
        client = self.gateway.connect("api.openai.com")
        with client:
            return client.ask(request)

    def leaves(self, answer: Answer) -> tuple[dict[str, Any], dict[str, Any]]:
        call_id = answer.headers["x-jupiter-evidence-id"]
        (decision,), (outcome,) = self.gateway.leaves("decision", call_id), self.gateway.leaves("outcome", call_id)
        return decision, outcome


def settings(provider: RehearsalThread) -> dict[str, Any]:
    url = f"http://127.0.0.1:{provider.port}"
    return {
        "providers": {
            "claude": {"type": "anthropic", "base_url": url, "api_key": "provider-key", "models": ["claude-*"]},
            "rehearsal": {"model_map": {"fast": "rehearsal-1"}},
            "second": {"type": "openai", "base_url": url, "api_key": "provider-key", "models": ["rehearsal-1"]},
            "third": {"type": "openai", "base_url": url, "api_key": "provider-key", "models": ["gpt-*"]},
        },
        "proxy": {"limits": {"body": "64KiB", "upload": "2MiB"}},
        "processing": {"costs": {"overrides": {"rehearsal-1": PRICE, "fast": PRICE}}},
    }


@contextlib.contextmanager
def started(directory: Path, provider: RehearsalThread, policy: str, **over: Any) -> Iterator[Bench]:
    with start_gateway(
        directory, provider.port, Setup(overrides={**settings(provider), **over}, policies={"house.yaml": policy})
    ) as gateway:
        yield Bench(gateway, provider)


def upload(path: str, body: bytes, key: str, content_type: str = TYPE, **headers: str) -> bytes:
    named = f"Content-Type: {content_type}".encode()
    return post(path, body, key, **headers).replace(b"Content-Type: application/json", named)


def raw(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()
