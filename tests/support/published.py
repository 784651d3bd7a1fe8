"""A gateway into which one published policy after the other is put, and what a call under it must come to.

The policies are not part of this project; they lie beside a checkout, in `../shared/mpl-examples`.  Nothing in them is
changed but where their alerts go.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.gateway import Gateway, Setup, start_gateway
from support.wire import Answer, Client, chat, post, wait_until

from jupiter_addons.identity.keys import mint
from jupiter_addons.rehearsal.server import RehearsalThread
from jupiter_addons.storage.keys_sqlite import KeyStore

EXAMPLES = Path(__file__).parents[3] / "shared" / "mpl-examples"
AT_HAND = pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="the published policies are not at hand (../shared/mpl-examples)"
)
DOCUMENTED, SUITES = "docs/mpl/examples", "examples/policies"
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"

USERS: Mapping[str, Mapping[str, Any]] = {
    "nobody": {},
    **{tier: {"tier": tier} for tier in ("free", "basic", "premium", "pro", "enterprise")},
    **{region: {"region": region} for region in ("eu", "us", "asia", "EU")},
    **{name: {"department": name} for name in ("engineering", "marketing", "sales")},
    "suspended": {"status": "suspended"},
    "token-spender": {"tier": "free"},
    "money-spender": {},
    "hourly-free": {"tier": "free"},
    "hourly-101": {"tier": "free"},
    "hourly-model": {"tier": "basic"},
    **{name: {"tier": "pro"} for name in ("fast-1", "fast-2", "fast-3")},
    "spent-engineering": {"department": "engineering"},
    "spent-marketing": {"department": "marketing"},
    "spent-sales": {"department": "sales"},
}
"""Who calls, and what the directory says of them; those who have taken much have names of their own."""

PRICES = {
    **{
        model: {"input": 1000, "output": 1000}
        for model in ("gpt-4", "gpt-3.5-turbo", "claude-3-opus", "claude-3-haiku")
    },
    **{
        model: {"input": 1, "output": 1} for model in ("gpt-4-turbo", "gpt-4o", "davinci", "llama-3", "claude-3-sonnet")
    },
    "dear": {"input": 0, "output": 1_000_000},
}
"""A token of the models of the policies costs a tenth of a cent, one of `dear` a dollar."""

OPEN = 'mpl_version: "1.0"\nname: open\nrules:\n  - {name: all, conditions: [], actions: [{type: allow}]}\n'


@dataclass(frozen=True)
class Case:
    """A call, and what must come of it: all of it, so that what is not named must not happen.

    In expected texts `…` stands for anything.
    """

    name: str
    text: str = "hello"
    who: str = "nobody"
    model: str = "gpt-4"
    path: str = CHAT
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else is in the body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    denied: tuple[str, str] | None = None
    """The code and message of the refusal; None if the call is answered."""
    status: int = 403
    """Of a refusal."""
    logs: tuple[tuple[str, str], ...] = ()
    """Levels and messages, in order."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """What must be among the fields of the last line."""
    tags: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[tuple[str, str, str], ...] = ()
    """Where to, how grave, and what."""
    sent: Mapping[str, Any] = field(default_factory=dict)
    """What is different in the body that the provider got."""
    prompt: str | None = None
    """What the provider got as the text, if that is different."""
    provider: str | None = None
    """Who was asked, if a rule names it."""
    said: str | None = None
    """The text of the answer, if it matters."""
    by: str | None = None
    """The rule that decided; None if it is not the point."""


class _Webhook(BaseHTTPRequestHandler):
    """Keeps the alerts it is sent."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.alerts.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@dataclass
class Published:
    """The gateway, its provider, and the policy that is in force."""

    gateway: Gateway
    provider: RehearsalThread
    webhook: ThreadingHTTPServer
    keys: Mapping[str, str]
    current: object = None

    # -- policies --------------------------------------------------------------------------------------------------------

    def put(self, *paths: str, head: str = "") -> None:
        """Put published files in force, alone; `head` stands before them."""
        texts = {}
        for path in paths:
            text = (EXAMPLES / path).read_text()
            here = f"http://127.0.0.1:{self.webhook.server_address[1]}/"
            texts[Path(path).name] = head + re.sub(r"https://(?=[\w.-]+\.example\.com)", here, text)
        self._put(texts)

    def open(self) -> None:
        """Let everything pass."""
        self._put({"open.yaml": OPEN})

    def _put(self, texts: Mapping[str, str]) -> None:
        if texts == self.current:
            return
        folder = self.gateway.directory / "policies"
        shutil.rmtree(folder)
        folder.mkdir()
        for name, text in texts.items():
            (folder / name).write_text(text)
        self.reload()
        self.current = texts

    def reload(self, **policy: Any) -> None:
        """Have the gateway read again what it is configured with."""
        if policy:
            settings = yaml.safe_load(self.gateway.config.read_text())
            settings["policy"] |= policy
            self.gateway.config.write_text(yaml.safe_dump(settings))
        before = self.gateway.log.count('"reloaded; ')
        self.gateway.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: self.gateway.log.count('"reloaded; ') > before), self.gateway.log[-2000:]

    # -- calls -----------------------------------------------------------------------------------------------------------

    def ask(self, case: Case, **fields: Any) -> Answer:
        with Client(self.gateway.port) as client:
            return client.ask(post(case.path, self._body(case, **fields), self.keys[case.who], **case.headers))

    @staticmethod
    def _body(case: Case, **fields: Any) -> dict[str, Any]:
        return {**chat(case.text, model=case.model), **case.fields, **fields}

    def spend(self, who: str, *, requests: int = 1, model: str = "gpt-4o", text: str = "hi") -> None:
        """Have somebody take requests, tokens or money, whatever the policies say."""
        self.open()
        body = chat(text, model=model, max_tokens=1000)
        with Client(self.gateway.port) as client:
            for _ in range(requests):
                assert client.ask(post(CHAT, body, self.keys[who])).status == 200

    def check(self, case: Case, *, stream: bool = False) -> Answer:
        """Make a call and compare all that comes of it."""
        seen = self.provider.journal.seen
        fields = {"stream": True} if stream else {}
        answer = self.ask(case, **fields)
        call = answer.headers["x-jupiter-evidence-id"]
        (leaf,) = self.gateway.leaves("decision", call)
        outcomes = self.gateway.leaves("outcome", call)
        if case.denied is None:
            assert answer.status == 200, answer.body
            assert self.provider.journal.seen == seen + 1
            self._check_sent(case, answer, **fields)
        else:
            assert (answer.status, answer.code) == (
                case.status,
                case.denied[0] if case.path == CHAT else "permission_error",
            )
            assert fits(case.denied[1], answer.json()["error"]["message"])
            assert answer.headers["x-jupiter-decision"] == "deny"
            assert self.provider.journal.seen == seen + len(outcomes)
        told = self._told(call)
        assert [level for level, _, _ in told] == [level for level, _ in case.logs], told
        for (_, message, line), (_, expected) in zip(told, case.logs, strict=True):
            assert fits(expected, message), message
            assert "/" in line["rule"]
        assert not case.beside or case.beside.items() <= told[-1][2].items(), told
        tags = {**leaf.get("tags", {}), **(outcomes[0].get("tags", {}) if outcomes else {})}
        assert tags == dict(case.tags)
        self._check_alerts(case, call)
        if case.by is not None:
            assert [rule["rule"] for one in (leaf, *outcomes) for rule in one.get("guardrail", [])][-1] == case.by
        if case.said is not None:
            assert said(answer) == case.said
        return answer

    def _check_sent(self, case: Case, answer: Answer, **fields: Any) -> None:
        body, got = self._body(case, **fields), json.loads(self.provider.journal.entries[-1].body)
        body.update(case.sent)
        if case.prompt is not None:
            body["messages"] = [*body["messages"][:-1], {"role": "user", "content": case.prompt}]
        if "stream_options" in got:
            got.pop("stream_options")
        assert got == body
        assert case.provider in (None, answer.headers["x-jupiter-provider"])

    def _told(self, call: str) -> list[tuple[str, str, dict[str, Any]]]:
        lines = [json.loads(line) for line in self.gateway.log.splitlines() if call in line and line.startswith("{")]
        return [(line["level"], line["message"], line) for line in lines if line["logger"] == "jupiter.policy"]

    def _check_alerts(self, case: Case, call: str) -> None:
        def of_call() -> list[tuple[str, dict[str, Any]]]:
            return [(path, body) for path, body in self.webhook.alerts if body["call"] == call]  # type: ignore[attr-defined]

        wait_until(lambda: len(of_call()) >= len(case.alerts))
        found = sorted((path, body["severity"], body["message"]) for path, body in of_call())
        assert len(found) == len(case.alerts), found
        for (path, severity, message), expected in zip(found, sorted(case.alerts), strict=True):
            assert (path, severity) == expected[:2]
            assert fits(expected[2], message), message


def fits(expected: str, text: str) -> bool:
    """Whether a text is as expected, where `…` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), text, re.DOTALL) is not None


def said(answer: Answer) -> str:
    """The text of a chat completion, whole or streamed."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        chunks = [json.loads(line[6:]) for line in answer.body.decode().split("\n") if line.startswith("data: {")]
        return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])
    return answer.json()["choices"][0]["message"]["content"]


@contextlib.contextmanager
def published(directory: Path, provider: RehearsalThread, environment: str) -> Iterator[Published]:
    """Start a gateway whose providers have the names that the published policies use."""
    names = ("openai", "anthropic", "openai-eu", "anthropic-eu", "openai-us", "anthropic-us")
    url = f"http://127.0.0.1:{provider.port}/v1"
    overrides = {
        "environment": environment,
        "providers": {
            n: {"type": "rehearsal", "base_url": url, "api_key": "provider-key", "models": ["*"]} for n in names
        },
        "processing": {"costs": {"overrides": PRICES}},
        "identity": {"principals": {user: {"attributes": dict(known)} for user, known in USERS.items()}},
        "telemetry": {"logging": {"format": "json", "level": "debug"}},
    }
    keys = {}
    (directory / "state").mkdir(parents=True)
    store = KeyStore(directory / "state/keys.db")
    for user in USERS:
        keys[user], record = mint(user, entropy=os.urandom, now_s=time.time())
        store.add(record)
    store.close()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Webhook) as webhook:
        webhook.alerts = []  # type: ignore[attr-defined]
        threading.Thread(target=webhook.serve_forever, daemon=True).start()
        with start_gateway(
            directory, provider.port, Setup(overrides=overrides, policies={"open.yaml": OPEN})
        ) as gateway:
            yield Published(gateway, provider, webhook, keys, {"open.yaml": OPEN})
        webhook.shutdown()


def table(cases: Mapping[str, tuple[Case, ...]]) -> Callable[..., Any]:
    """Parametrise a test with every case of every file."""
    return pytest.mark.parametrize(
        ("file", "case"),
        [
            pytest.param(file, case, id=f"{Path(file).stem}: {case.name}")
            for file, of_file in cases.items()
            for case in of_file
        ],
    )
