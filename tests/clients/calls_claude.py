"""Claude Code, headless: a question that is answered, one for which it has to read a file, and one that is answered at the second try.

It gets no access to anything but a directory of its own.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from seen import GIVEN, note, play, prompt, said

CLAUDE = Path(os.environ["COMPAT_HOME"]) / "node_modules/.bin/claude"
MODELS = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")

PLAIN = {"ENABLE_TOOL_SEARCH": "false"}
"""Without tools whose schemas are loaded later: those are refused by name where another provider answers.  It copes with that
refusal, but not with the outage that its own provider has there at the intercept door."""


def asked(text: str) -> dict[str, Any]:
    command = [str(CLAUDE), "-p", "--output-format", "json", "--allowedTools", "Read", "--", text]
    environment = {**os.environ, **dict.fromkeys(MODELS, GIVEN["model"]), **(PLAIN if GIVEN["foreign"] else {})}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise RuntimeError(f"exit code {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}") from None
    if found["is_error"]:
        raise RuntimeError(found["result"])
    return {"text": found["result"], "finish": found["stop_reason"], "turns": found["num_turns"]}


def reading() -> dict[str, Any]:
    call = json.dumps({"file_path": str(note())})
    return asked(f"{prompt('stream_tools')}[[call=Read {call}]]")


play(
    {
        "stream": lambda: asked(said("stream")),
        "stream_tools": reading,
        "retries": lambda: asked(said("retries")),
    }
)
