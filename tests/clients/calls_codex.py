"""Codex, headless: a question that is answered, one for which it has to run a command, and one that is answered at the second try.

At the gateway door the gateway is a provider of its configuration; at the intercept door it is not configured at all.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from seen import GIVEN, note, play, prompt, said

CODEX = Path(os.environ["COMPAT_HOME"]) / "node_modules/.bin/codex"
QUIET = ["check_for_update_on_startup=false", "analytics.enabled=false"]
PLAIN = ['web_search="disabled"', "features.multi_agent=false"]
"""Without the tools that only OpenAI's own models have: those are refused by name where another provider answers."""


def settings() -> list[str]:
    own = list(QUIET) + (PLAIN if GIVEN["foreign"] else [])
    if base := os.environ.get("OPENAI_BASE_URL"):
        provider = f'{{name="Jupiter", base_url="{base}", wire_api="responses", env_key="OPENAI_API_KEY"}}'
        own += ['model_provider="jupiter"', f"model_providers.jupiter={provider}"]
    return [part for setting in own for part in ("-c", setting)]


def asked(text: str) -> dict[str, Any]:
    safe = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    command = [str(CODEX), "exec", "--json", *safe, "-m", GIVEN["model"], *settings(), text]
    environment = {**os.environ, "CODEX_API_KEY": os.environ["OPENAI_API_KEY"]}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if failed := [event["error"]["message"] for event in events if event["type"] == "turn.failed"]:
        raise RuntimeError(failed[0])
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    messages = [item["text"] for item in items if item["type"] == "agent_message"]
    if not messages:
        raise RuntimeError(f"exit code {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return {"text": messages[-1]}


def running() -> dict[str, Any]:
    call = json.dumps({"cmd": f"cat {note()}"})
    return asked(f"{prompt('stream_tools')}[[call=exec_command {call}]]")


play(
    {
        "stream": lambda: asked(said("stream")),
        "stream_tools": running,
        "retries": lambda: asked(said("retries")),
    }
)
