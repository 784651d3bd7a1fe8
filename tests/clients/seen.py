"""What the programs of `scripts/compat` have in common: what they are given, and how they say what they saw.

Each prints one JSON object a call:

    {"call": "tools", "text": …, "finish": …, "usage": [input tokens, output tokens], "calls": [[name, arguments], …],
     "called": the finish reason of the calls, "pieces": deltas of a stream, "parsed": …, "vectors": …}
    {"call": "error_429", "error": {"classes": its own and those it is one of, "status": …, "message": …, "retry_after": …}}

A client that does not know one of these leaves it out, and it is not judged.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

GIVEN: dict[str, Any] = json.loads(os.environ["COMPAT"])
TIMEOUT_S = 30.0


def play(calls: Mapping[str, Callable[[], dict[str, Any]]]) -> None:
    """Make the calls that are wanted, in order."""
    for call in GIVEN["run"]:
        if call in calls:
            try:
                found = calls[call]()
            except Exception as error:
                found = {"error": described(error)}
            print(json.dumps({"call": call, **found}), flush=True)
        else:
            print(f"no call {call} in this program", file=sys.stderr)


def prompt(call: str) -> str:
    """Return what to say in a call."""
    return GIVEN["prompts"][call]


def result(tool: str) -> str:
    """Return what a tool says."""
    return GIVEN["results"][tool]


def said(call: str) -> str:
    """Return what to tell an agent, which says much more to the model than that: so the answer is in it."""
    text, _, knobs = prompt(call).partition("[[")
    return f"{text}[[say=You said: {text}]]" + (f"[[{knobs}" if knobs else "")


def note() -> Path:
    """Return a file for an agent to read, with what a tool would say in it."""
    path = Path.cwd() / "note.txt"
    path.write_text(f"{result('weather')}\n")
    return path


def described(error: Exception) -> dict[str, Any]:
    """Return what a program that catches an error can know of it."""
    classes = [kind.__name__ for kind in type(error).__mro__ if kind is not object]
    found: dict[str, Any] = {"classes": classes, "message": str(error)[:400]}
    status = getattr(error, "status_code", None)
    if status is not None:
        found["status"] = status
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is not None:
        found["retry_after"] = headers.get("retry-after")
    return found


def loaded(arguments: str) -> Any:
    """Return the arguments of a call, or the text itself if it is not JSON."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
