"""A gateway in front of one rehearsal server under every type of provider, and calls to it in every dialect."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, post

from jupiter_addons.dialects.call import DialectName, Reply
from jupiter_addons.dialects.registry import REPLIES, STREAM_READERS, WIRES
from jupiter_addons.rehearsal.journal import Entry
from jupiter_addons.rehearsal.server import RehearsalThread

TYPES = ("openai", "openai-compatible", "anthropic", "ollama")
CHATS: tuple[DialectName, ...] = ("openai_chat", "openai_responses", "anthropic_messages", "ollama_chat")
SPOKEN: dict[str, dict[str, DialectName]] = {
    "openai": {"openai_chat": "openai_chat", "openai_responses": "openai_responses"},
    "openai-compatible": {},
    "anthropic": {},
    "ollama": {},
}
"""Type -> client's dialect -> the dialect it is asked in, where that is not its first one."""
FIRST: dict[str, DialectName] = {
    "openai": "openai_chat",
    "openai-compatible": "openai_chat",
    "anthropic": "anthropic_messages",
    "ollama": "ollama_chat",
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris"]}}}
POLICY = """
mpl_version: "1.0"
name: house
rules:
  - name: no-secrets
    conditions: [{field: request.text, operator: contains, value: the secret plan}]
    actions: [{type: deny, message: not this, code: no_secrets}]
  - name: no-cards
    when: has_pii() and request.text contains "my card"
    actions: [{type: deny, message: no cards, code: no_cards}]
  - name: hide-mail
    conditions: [{field: request.text, operator: contains, value: hide}]
    actions: [{type: redact, fields: [request.messages], pattern: '[a-z]+@[a-z]+[.]com', reversible: true}]
  - name: clean
    phase: response
    conditions: [{field: request.text, operator: contains, value: clean}]
    actions: [{type: redact, fields: [response.content], pattern: '[a-z]+@[a-z]+[.]com'}]
  - name: twice
    conditions: [{field: request.text, operator: contains, value: only twice}]
    actions: [{type: rate_limit, key: '{{ request.model }}{{ request.type }}', limit: 2, window: 1h}]
"""


@dataclass
class Bench:
    """The gateway and who stands behind it."""

    gateway: Gateway
    provider: RehearsalThread

    @property
    def last(self) -> Entry:
        return self.provider.journal.entries[-1]


@contextlib.contextmanager
def start_bench(directory: Path, provider: RehearsalThread) -> Iterator[Bench]:
    """Start a gateway whose models are called after who is asked for them."""
    url, price = f"http://127.0.0.1:{provider.port}", {"input": "1", "output": "2"}
    providers = {
        kind: {"type": kind, "base_url": url, "api_key": "provider-key", "models": [f"to-{kind}"]} for kind in TYPES
    }
    down = {"base_url": "http://127.0.0.1:1", "api_key": "k", "weight": 1000, "models": ["to-whoever-is-up"]}
    providers |= {
        "down": {"type": "anthropic", **down, "models": ["to-whoever-is-up", "to-whoever-says-it"]},
        "up": {**providers["openai-compatible"], "models": ["to-whoever-is-up", "to-anthropic-too"]},
        "down-openai": {"type": "openai", **down, "models": ["to-anthropic-too"]},
        "up-anthropic": {**providers["anthropic"], "models": ["to-anthropic-too"], "weight": 30},
    }
    names = {name for entry in providers.values() for name in entry["models"]}
    setup = Setup(
        overrides={
            "providers": providers,
            "intercept": {"hosts": {"ollama.test": "ollama", "api.anthropic.com": "anthropic"}},
            "processing": {"costs": {"overrides": dict.fromkeys([*names, "rehearsal-1"], price)}},
        },
        policies={"house.yaml": POLICY},
    )
    with start_gateway(directory, provider.port, setup) as running:
        yield Bench(running, provider)


def body_for(dialect: DialectName, model: str, text: str, *, stream: bool, tools: bool = False) -> dict[str, Any]:
    """Return a request of a dialect."""
    said: dict[str, Any] = {"messages": [{"role": "user", "content": text}]}
    own: dict[str, Any] = {"stream": stream}
    described = {"name": "weather", "description": "the weather", "parameters": SCHEMA}
    tool: dict[str, Any] = {"type": "function", "function": described}
    match dialect:
        case "openai_chat":
            own |= {"max_tokens": 64, **({"stream_options": {"include_usage": True}} if stream else {})}
        case "openai_responses":
            said, own = {"input": text}, {"max_output_tokens": 64, **own}
            tool = {"type": "function", **described}
        case "anthropic_messages":
            own |= {"max_tokens": 64}
            tool = {"name": "weather", "description": "the weather", "input_schema": SCHEMA}
        case "ollama_chat":
            own |= {"options": {"num_predict": 64}}
        case "openai_completions" | "ollama_generate":
            said = {"prompt": text}
            own |= (
                {"max_tokens": 64} if dialect == "openai_completions" else {"options": {"num_predict": 64}, "raw": True}
            )
    return {"model": model, **said, **own, **({"tools": [tool]} if tools else {})}


def ask(bench: Bench, dialect: DialectName, body: dict[str, Any], **headers: str) -> Answer:
    with Client(bench.gateway.port) as client:
        return client.ask(post(WIRES[dialect].path, body, bench.gateway.key, **headers))


def read(dialect: DialectName, answer: Answer) -> Reply:
    """Return what an answer says, whole or streamed."""
    wire = WIRES[dialect]
    if not answer.headers["content-type"].startswith(wire.stream_type):
        return REPLIES[dialect](answer.status, answer.body)
    reader, ended = STREAM_READERS[dialect](), False
    for frame in wire.splitter().feed(answer.body):
        assert not ended or frame.data is None, "something followed the terminal event"
        ended = reader.read(frame)
    return reader.reply()


def leaves(bench: Bench, answer: Answer) -> tuple[dict[str, Any], dict[str, Any]]:
    call_id = answer.headers["x-jupiter-evidence-id"]
    (decision,), (outcome,) = bench.gateway.leaves("decision", call_id), bench.gateway.leaves("outcome", call_id)
    return decision, outcome


def digests(*of: dict[str, Any]) -> dict[str, str]:
    return {one["role"]: one["sha256"] for leaf in of for one in leaf["payload"]}
