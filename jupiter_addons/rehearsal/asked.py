"""What was asked of the rehearsal provider, in whichever dialect: the text to answer, and the tools that may be called."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from jupiter_addons.rehearsal.behaviour import Behaviour


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    id: str
    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as JSON text."""
        return json.dumps(self.arguments)


def tokens(text: str) -> int:
    """Count tokens the simplest way there is: words."""
    return max(1, len(text.split()))


def words(text: str) -> Iterator[str]:
    """Yield a text word by word, each with the blank before it."""
    for number, word in enumerate(text.split(" ")):
        yield word if number == 0 else f" {word}"


def made_id(prefix: str, body: dict[str, Any]) -> str:
    """Return an id that is the same for the same request."""
    return prefix + hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:24]


def last_user_text(body: dict[str, Any]) -> str:
    """Return the text that is answered: the last message of the user's, the prompt or the input."""
    for name in ("prompt", "input"):
        if name in body and not (isinstance(body[name], list) and any(isinstance(item, dict) for item in body[name])):
            value = body[name]
            return value if isinstance(value, str) else " ".join(map(str, value or []))
    for message in reversed(body.get("messages") or body.get("input") or []):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content
            return " ".join(part.get("text", "") for part in content or [] if isinstance(part, dict))
    return ""


def tool_results(body: dict[str, Any]) -> list[str]:
    """Return what the tools called last said, if nobody has said anything since."""
    found: list[str] = []
    for item in reversed(_turns(body)):
        if item.get("role") == "tool":
            found.append(_text(item.get("content")))
        elif str(item.get("type", "")).endswith("call_output"):
            found.append(_text(item.get("output")))
        else:
            content = item.get("content")
            parts = content if item.get("role") == "user" and isinstance(content, list) else []
            results = [part for part in parts if part.get("type") == "tool_result"]
            found += [_text(part.get("content")) for part in reversed(results)]
            break
    return found[::-1]


def _turns(body: dict[str, Any]) -> list[dict[str, Any]]:
    turns = body.get("messages") or body.get("input") or []
    return [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(part.get("text", "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else json.dumps(content)


def prompt_tokens(body: dict[str, Any]) -> int:
    """Count the tokens of the whole request."""
    said = "".join(json.dumps(body[name]) for name in ("messages", "input", "prompt", "instructions") if name in body)
    return tokens(said + json.dumps(body.get("system", "")))


def calls(body: dict[str, Any], behaviour: Behaviour) -> list[Call]:
    """Return the calls that are answered: those the knobs say until they have results, or one if the request forces it."""
    offered = [tool.get("function") or tool for tool in body.get("tools") or []]
    wanted = behaviour if not tool_results(body) else Behaviour()
    if wanted.call:
        name, _, arguments = unquote(wanted.call).partition(" ")
        return (
            [Call("call_0", name, json.loads(arguments or "{}"))]
            if name in (tool.get("name") for tool in offered)
            else []
        )
    choice = body.get("tool_choice")
    named = [(choice.get("function") or choice).get("name")] if isinstance(choice, dict) else []
    if named and named[0] is not None:
        offered = [tool for tool in offered if tool.get("name") in named]
    forced = choice == "required" or (isinstance(choice, dict) and choice.get("type") not in ("auto", "none"))
    count = wanted.calls or (1 if forced else 0)
    chosen = [offered[number % len(offered)] for number in range(count)] if offered else []
    return [
        Call(f"call_{number}", tool.get("name", ""), _sample(tool.get("parameters") or tool.get("input_schema") or {}))
        for number, tool in enumerate(chosen)
    ]


def _sample(schema: dict[str, Any]) -> dict[str, Any]:
    """Return arguments that a schema's properties allow."""
    kinds: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    found = {}
    for name, wanted in (schema.get("properties") or {}).items():
        options = [wanted["const"]] if "const" in wanted else wanted.get("enum")
        found[name] = options[0] if options else kinds.get(wanted.get("type"), f"some {name}")
    return found
