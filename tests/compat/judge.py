"""Whether what a client saw is what the provider said: the text, the calls, the counted tokens, the end, the class of an error.

A program prints one JSON object a call (tests/clients/seen.py says which fields).  What the provider said is not taken from
there but from its journal, so that a client and a gateway that are wrong in the same way are not believed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from compat.calls import CITY, RESULTS, SCHEMA, STRUCTURED, TOOLS, mark, picture, texts
from compat.clients import Client
from compat.world import Door, Kind
from jupiter_addons.rehearsal import asked
from jupiter_addons.rehearsal.answers_openai import vectors
from jupiter_addons.rehearsal.journal import Entry

Status = Literal["passed", "refused", "failed", "cannot", "not_run"]
Seen = Mapping[str, Any]

CLASSES = {
    400: {"BadRequestError"},
    401: {"AuthenticationError"},
    404: {"NotFoundError"},
    429: {"RateLimitError"},
    503: {"InternalServerError", "ServiceUnavailableError"},
}
"""Status -> the class of the official SDKs, which other clients' are subclasses or namesakes of."""
FINISH = {
    "openai_chat": ("stop", "tool_calls"),
    "openai_responses": ("completed", "completed"),
    "anthropic": ("end_turn", "tool_use"),
    "ollama": ("stop", "stop"),
}
"""API -> its words for an end by itself and for an end to call tools."""
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
}
NO_EMBEDDINGS = {"anthropic"}
"""Types of providers that embed nothing."""


OWN_KEY = "at the intercept door a client's own key is judged by its own provider, which is down there"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a call."""

    status: Status
    why: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a call was made."""

    client: Client
    kind: Kind
    door: Door
    own: bool
    """Whether the provider is the client's own at the intercept door."""
    run: str
    """The mark of the run."""


class _Wrong(Exception):
    """What was seen is not what was said."""


def judge(call: str, seen: Seen | None, arrived: Sequence[Entry], at: Situation) -> Verdict:
    """Return the verdict on a call, given what the client saw, if anything, and what of it arrived at the provider."""
    if (reason := cannot(call, at)) is not None:
        return Verdict("cannot", reason)
    if seen is None:
        return Verdict("failed", "the program ended before it")
    try:
        if (reason := refusal(call, at)) is not None:
            _refused(seen, arrived, at)
            return Verdict("refused", reason)
        note = _late(seen, arrived, at) if "stream" in call else ""
        if note:
            seen = {**seen, "usage": [asked.prompt_tokens(_body(arrived[-1])), seen["usage"][1]]}
        checks = _AGENT_CHECKS if at.client.language == "agent" else _CHECKS
        checks[call](seen, arrived, at)
    except _Wrong as wrong:
        return Verdict("failed", str(wrong))
    return Verdict("passed", note)


def _late(seen: Seen, arrived: Sequence[Entry], at: Situation) -> str:
    """Return why the input tokens are not there, if this client may miss them and does; else nothing."""
    usage = seen.get("usage")
    translated = bool(arrived) and PATHS[at.client.api] != arrived[-1].target.partition("?")[0]
    return at.client.late_usage or "" if translated and usage and usage[0] == 0 else ""


def cannot(call: str, at: Situation) -> str | None:
    """Return why a call means nothing there, or None."""
    if call == "error_401" and at.door == "intercept" and not at.own:
        return OWN_KEY
    return at.client.cannot.get(call)


def refusal(call: str, at: Situation) -> str | None:
    """Return what the provider cannot say and is therefore refused by its name, or None."""
    if call == "embeddings" and at.kind in NO_EMBEDDINGS:
        return f"{at.kind} providers have no embeddings"
    return at.client.refused.get(f"{call}:{at.kind}") or at.client.refused.get(call)


def _refused(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    """It is the client's fault, unless its own provider could say it and is down: then that is why there is no answer."""
    due = 400 if at.door == "gateway" or at.own else 503
    _is_error(seen, due, at)
    if due == 400:
        _says("`", seen)
    _same("the requests that reached the provider", 0, len(arrived))


def _chat(seen: Seen, arrived: Sequence[Entry], at: Situation, call: str = "chat") -> None:
    text = f"You said: {mark(at.run, call)}"
    _no_error(seen)
    _same("the text", text, seen.get("text"))
    if "finish" in seen:
        _same("the finish reason", _finish(at)[0], seen["finish"])
    _usage(seen, arrived, text)


def _stream(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _chat(seen, arrived, at, "stream")
    _in_pieces(seen)
    _same("whether the provider was asked to stream", True, _body(arrived[-1]).get("stream"))


def _tools(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    text = f"The tools said: {'; '.join(RESULTS[tool['name']] for tool in TOOLS)}"
    _no_error(seen)
    _same("the calls", [[tool["name"], {"city": "Paris"}] for tool in TOOLS], seen.get("calls"))
    if "called" in seen:
        _same("the finish reason of the calls", _finish(at)[1], seen["called"])
    _same("the text about the results", text, seen.get("text"))
    if "finish" in seen:
        _same("the finish reason", _finish(at)[0], seen["finish"])
    _same("the requests that reached the provider", 2, len(arrived))
    if not any(_properties(found) == CITY["properties"].keys() for found in _objects(_body(arrived[0]))):
        raise _Wrong("the provider was not told the schema of the tools")
    _usage(seen, arrived, text)


def _stream_tools(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _tools(seen, arrived, at)
    _in_pieces(seen)


def _agent_streams(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    """An agent says only what came of it, and streams whatever it does."""
    _no_error(seen)
    _same("the text", f"You said: {mark(at.run, 'stream')}", seen.get("text"))
    _same("whether the provider was asked to stream", True, _body(arrived[-1]).get("stream"))


def _agent_calls(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    """What it was to find with a tool of its own has come to the provider, and the answer about it back."""
    _no_error(seen)
    _same("the requests that reached the provider", 2, len(arrived))
    found = asked.tool_results(_body(arrived[-1]))
    if not any(RESULTS["weather"] in text for text in found):
        raise _Wrong(f"the result of the tool did not reach the provider: {found}")
    if not (seen["text"].startswith("The tools said: ") and RESULTS["weather"] in seen["text"]):
        raise _Wrong(f"the text: {seen['text']!r}")


def _agent_retries(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _no_error(seen)
    _same("the text", f"You said: {mark(at.run, 'retries')}", seen.get("text"))
    _same("the requests that reached the provider", 2, len(arrived))


def _structured(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _no_error(seen)
    _same("what was parsed", STRUCTURED, seen.get("parsed"))
    wanted = SCHEMA["properties"].keys()
    if not any(
        found.get("type") == "object" and _properties(found) == wanted for found in _objects(_body(arrived[-1]))
    ):
        raise _Wrong("the provider was not told the schema")


def _images(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _chat(seen, arrived, at, "images")
    if picture() not in arrived[-1].body.decode():
        raise _Wrong("the picture did not reach the provider")


def _embeddings(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _no_error(seen)
    _same("the vectors", vectors(texts(at.run)), seen.get("vectors"))


def _error_400(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _is_error(seen, 400, at)
    _says("rehearsed", seen)
    _same("the requests that reached the provider", 1, len(arrived))


def _error_401(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _is_error(seen, 401, at)
    _says("key", seen)
    _same("the requests that reached the provider", 0 if at.door == "gateway" else 1, len(arrived))


def _error_404(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _is_error(seen, 404, at)
    _says("nobody-has-this", seen)
    _same("the requests that reached the provider", 0, len(arrived))


def _error_429(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _is_error(seen, 429, at)
    if at.client.headers and "retry_after" in seen["error"]:
        _same("the advice to wait", "7", seen["error"]["retry_after"])


def _retries(seen: Seen, arrived: Sequence[Entry], at: Situation) -> None:
    _chat(seen, arrived, at, "retries")
    _same("the requests that reached the provider", 2, len(arrived))


_CHECKS = {
    "chat": _chat,
    "stream": _stream,
    "tools": _tools,
    "stream_tools": _stream_tools,
    "structured": _structured,
    "images": _images,
    "embeddings": _embeddings,
    "error_400": _error_400,
    "error_401": _error_401,
    "error_404": _error_404,
    "error_429": _error_429,
    "retries": _retries,
}

_AGENT_CHECKS = {"stream": _agent_streams, "stream_tools": _agent_calls, "retries": _agent_retries}


def _finish(at: Situation) -> tuple[str, str]:
    return at.client.finish or FINISH[at.client.api]


def _no_error(seen: Seen) -> None:
    if error := seen.get("error"):
        raise _Wrong(f"{error['classes'][0]} {error.get('status', '')}: {error['message']}")


def _is_error(seen: Seen, status: int, at: Situation) -> None:
    error = seen.get("error")
    if error is None:
        raise _Wrong(f"no error where {status} was due")
    if "status" in error and not (status == 503 and error["status"] >= 500):
        _same("the status", status, error["status"])
    wanted = {at.client.errors} if at.client.errors else CLASSES[status]
    if not wanted & set(error["classes"]):
        raise _Wrong(f"the class of the error: {error['classes'][0]} where {' or '.join(wanted)} was due")


def _says(word: str, seen: Seen) -> None:
    """The message names it; names are in backticks."""
    if word not in str(seen["error"].get("message")):
        raise _Wrong(f"the message does not say `{word}`: {seen['error'].get('message')}")


def _usage(seen: Seen, arrived: Sequence[Entry], text: str) -> None:
    """The tokens are those that the provider counted, in what it was sent."""
    if not arrived:
        raise _Wrong("nothing reached the provider")
    if "usage" in seen:
        _same("the tokens", [asked.prompt_tokens(_body(arrived[-1])), asked.tokens(text)], seen["usage"])


def _in_pieces(seen: Seen) -> None:
    if "pieces" in seen and seen["pieces"] < 2:
        raise _Wrong(f"the stream came in {seen['pieces']} pieces")


def _same(what: str, wanted: object, found: object) -> None:
    if wanted != found:
        raise _Wrong(f"{what}: {found!r} where {wanted!r} was due")


def _body(entry: Entry) -> dict[str, Any]:
    found = json.loads(entry.body)
    return found if isinstance(found, dict) else {}


def _properties(schema: Mapping[str, Any]) -> object:
    properties = schema.get("properties")
    return properties.keys() if isinstance(properties, dict) else None


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _objects(child)
    elif isinstance(value, list):
        for child in value:
            yield from _objects(child)
