"""Ready behaviours of a scripted provider; each answers in the dialect of the path it was asked on.

A script is `async def script(call, out)`.  What a good answer looks like is the rehearsal provider's knowledge.
"""

import itertools
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupiter_addons.rehearsal import answers
from jupiter_addons.rehearsal.behaviour import Behaviour

if TYPE_CHECKING:
    from ordeal.provider import Call, Out

type Script = Callable[["Call", "Out"], Awaitable[None]]


def whole(text: str = "hello there") -> Script:
    """Answer with a valid completion or message; as a stream if one was asked for."""

    async def script(call: "Call", out: "Out") -> None:
        if asked(call).get("stream"):
            await stream(text)(call, out)
            return
        make = answers.anthropic_body if is_anthropic(call) else answers.openai_body
        await out.answer(200, make(asked(call), text, Behaviour()))

    return script


def stream(events: int | str | Sequence[str] = 3, gap_s: float = 0.0) -> Script:
    """Answer with a valid stream: so many deltas, or the words of a text, then finish, usage and the terminal event."""

    async def script(call: "Call", out: "Out") -> None:
        for event in stream_events(call, words(events)):
            await out.events(event)
            if gap_s:
                await out.sleep(gap_s)

    return script


def pieces(*parts: bytes, gap_s: float = 0.0, headers: Mapping[str, str] | None = None) -> Script:
    """Answer with an event stream of exactly these bytes, each part a write of its own, then end it."""

    async def script(call: "Call", out: "Out") -> None:
        await out.head(200, {"content-type": "text/event-stream", **(headers or {})})
        for number, part in enumerate(parts):
            if number:
                await out.sleep(gap_s)  # also with 0 a turn of the loop
            await out.send(part)

    return script


def ending(how: str, *parts: bytes, after_s: float = 0.0) -> Script:
    """Begin an event stream with these bytes, then `reset`, `close`, `hang`, or `end` without a terminal event."""

    async def script(call: "Call", out: "Out") -> None:
        for part in parts:
            await out.events(part)
        await out.sleep(after_s)
        match how:
            case "reset":
                out.reset()
            case "close":
                out.close()
            case "hang":
                await out.gone()
            case _:
                assert how == "end", how

    return script


def status(number: int, headers: Mapping[str, str] | None = None, message: str = "scripted") -> Script:
    """Answer with an error of that status."""

    async def script(call: "Call", out: "Out") -> None:
        await out.answer(number, answers.error_body(is_anthropic(call), number, message), headers)

    return script


async def hang(call: "Call", out: "Out") -> None:
    """Never answer."""
    await out.gone()


async def reset(call: "Call", out: "Out") -> None:
    """Cut the connection instead of answering."""
    out.reset()


def by_text(**scripts: Script) -> Script:
    """Do what the last user message names, so that calls at the same time can have different fates."""

    async def script(call: "Call", out: "Out") -> None:
        await scripts[answers.last_user_text(asked(call))](call, out)

    return script


def first_then(first: Script, others: Script, times: int = 1) -> Script:
    """Let the first `times` calls go to `first` and the rest to `others`.

    The count belongs to the script: give the same one to several providers, whose order is random, and the first attempt
    fails whoever is asked.
    """
    numbers = itertools.count()

    async def script(call: "Call", out: "Out") -> None:
        await (first if next(numbers) < times else others)(call, out)

    return script


def stream_events(call: "Call", text: str) -> list[bytes]:
    """Return the events of a good stream with that text, usage included, whether or not it was asked for."""
    body = {**asked(call), "stream_options": {"include_usage": True}}
    make = answers.anthropic_events if is_anthropic(call) else answers.openai_events
    return list(make(body, text, Behaviour()))


def words(events: int | str | Iterable[str]) -> str:
    """Return a text that becomes so many deltas."""
    if isinstance(events, int):
        return " ".join(f"word{number}" for number in range(events))
    return events if isinstance(events, str) else " ".join(events)


def is_anthropic(call: "Call") -> bool:
    """Whether a call is one of Anthropic's dialect."""
    return "/messages" in call.path


def asked(call: "Call") -> dict[str, Any]:
    """Return a call's body, or an empty one if it is not an object."""
    try:
        found = json.loads(call.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
