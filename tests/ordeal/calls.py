"""How rows call a model through a gateway that has more than one provider, and what must have come of a call.

The order of providers is random, by weight.  Either all share one script (`first_then`), so that it does not matter who is
asked first, or the one that fails has a thousand times the weight and `asked_first` looks who it was.
"""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

from support.gateway import Gateway
from support.wire import Answer, Client, chat, post, wait_until

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
MOSTLY = 1000
"""A weight with which a provider is asked first, but for one call in a thousand."""

type Ask = Callable[[], Answer]


def another(url: str, **more: Any) -> dict[str, Any]:
    """Return the configuration of a provider beside `rehearsal`, the test configuration's own."""
    return {"type": "rehearsal", "base_url": url, "api_key": "another-key", "models": ["rehearsal-*"], **more}


def ask(gateway: Gateway, dialect: str = "openai", text: str = "hello", **fields: Any) -> Answer:
    """Make one call on a connection of its own and return its whole answer.  Raises ConnectionError if that is cut."""
    with Client(gateway.port) as client:
        return client.ask(call(gateway, dialect, text, **fields))


def call(gateway: Gateway, dialect: str = "openai", text: str = "hello", **fields: Any) -> bytes:
    """Return the request that `ask` sends."""
    return post(PATHS[dialect], chat(text, **fields), gateway.key)


def timed(ask: Ask) -> tuple[Answer, float]:
    """Return an answer and the seconds it took."""
    began = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - began


def call_id(answer: Answer) -> str:
    return answer.headers["x-jupiter-evidence-id"]


def asked_first(gateway: Gateway, provider: str, ask: Ask) -> Answer:
    """Make the same call until it is one for which that provider was asked first."""
    for _ in range(5):
        answer = ask()
        decision = gateway.leaves("decision", call_id(answer))[0]
        if decision["gen_ai"]["provider.name"] == provider:
            return answer
    raise AssertionError(f"`{provider}` was never asked first")


def leaves(gateway: Gateway, id: str, *, attempts: int, status: str | None = None) -> list[dict[str, Any]]:
    """Return a call's leaves once it has ended: one decision, a leaf for each attempt but the first, one outcome."""
    assert wait_until(lambda: gateway.leaves("outcome", id)), "no outcome was recorded"
    found = gateway.leaves(call_id=id)
    kinds = [leaf["kind"] for leaf in found]
    assert kinds == ["decision", *["attempt"] * (attempts - 1), "outcome"], kinds
    if status is not None:
        assert found[-1]["outcome"]["status"] == status, found[-1]["outcome"]
    return found


def delivered(gateway: Gateway, answer: Answer, *, attempts: int = 1, status: str = "ok") -> list[dict[str, Any]]:
    """Check that the record of an answer names the bytes that the client has; return the leaves."""
    found = leaves(gateway, call_id(answer), attempts=attempts, status=status)
    named = {payload["role"]: payload["sha256"] for payload in found[-1]["payload"]}
    assert named["delivered"] == hashlib.sha256(answer.body).hexdigest(), "the record names other bytes"
    return found


def is_error(dialect: str, body: bytes) -> bool:
    """Whether a body is a JSON error of that dialect, and nothing beside it."""
    try:
        found = json.loads(body)
    except ValueError:
        return False
    error = found.get("error") if isinstance(found, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return False
    return found.get("type") == "error" if dialect == "anthropic" else "code" in error


def assert_refused(answer: Answer, dialect: str, *statuses: int) -> None:
    """Check that an answer is one of our own errors, with one of these statuses."""
    assert answer.status in statuses, f"answered {answer.status}: {answer.body[:200]!r}"
    assert is_error(dialect, answer.body), f"no error of the dialect: {answer.body[:200]!r}"
    assert answer.headers["content-type"] == "application/json"


def assert_ends_in_error(dialect: str, received: bytes, sent: bytes) -> None:
    """Check that a stream is whole events of what the provider sent, one error event, and nothing more."""
    head = b"event: error\ndata: " if dialect == "anthropic" else b"data: "
    events = received.split(b"\n\n")
    assert events.pop() == b"", f"the last event is not whole: {received[-200:]!r}"
    last = events.pop()
    assert last.startswith(head), f"no error event at the end: {last[-200:]!r}"
    assert is_error(dialect, last.removeprefix(head)), f"no error event at the end: {last[-200:]!r}"
    before = b"".join(event + b"\n\n" for event in events)
    assert sent.startswith(before), "what came before the error event is not what the provider sent"
