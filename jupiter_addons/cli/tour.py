"""The tour of `jupiter demo`: seven things a gateway does, each done for real and shown."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from jupiter_addons.cli.exec import variables
from jupiter_addons.evidence.verify import Report, verify
from jupiter_addons.identity.keys import mint
from jupiter_addons.settings.load import Configuration, load
from jupiter_addons.storage import signing_keys
from jupiter_addons.storage.evidence_reader import rows, tampered_copy
from jupiter_addons.storage.keys_sqlite import KeyStore

CHAT = "/v1/chat/completions"


class Tour:
    """Takes a visitor through a running demo gateway."""

    def __init__(self, config: Path, port: int) -> None:
        self._settings: Configuration = load(config)
        self._port = port
        self._step = 0
        self._checked = False
        self._keys = {user: self._create_key(user) for user in ("ada", "eve")}

    def _create_key(self, user: str) -> str:
        store = KeyStore(self._settings.keys_path)
        text, record = mint(user, entropy=os.urandom, now_s=time.time(), name="demo")
        store.add(record)
        store.close()
        return text

    def take(self) -> None:
        """Show everything, in order."""
        click.secho("\n  Mercator Jupiter  ", bold=True, reverse=True)
        click.echo("  every LLM call under policy, limits and proof\n")
        self._allowed()
        self._denied()
        self._streamed()
        self._limited()
        self._intercepted()
        self._recorded()
        self._tampered()

    def farewell(self, providers: dict[str, str]) -> None:
        """Say how to go on with a tool of one's own."""
        key, authority = self._keys["ada"], self._settings.ca_dir / "mitmproxy-ca-cert.pem"
        click.secho("\n  Both doors are open.  Point a tool of yours at the gateway:\n", bold=True)
        click.echo(f"    export OPENAI_BASE_URL=http://127.0.0.1:{self._port}/v1")
        click.echo(f"    export OPENAI_API_KEY={key}")
        click.echo("    your-tool --model rehearsal-1")
        click.echo("\n  or leave its settings alone and send it through the proxy:\n")
        environment = variables(("127.0.0.1", self._port), key, authority)
        click.echo(f"    export HTTPS_PROXY={environment['HTTPS_PROXY']}")
        click.echo(f"    export SSL_CERT_FILE={environment['SSL_CERT_FILE']}")
        model = "gpt-4o-mini" if "openai" in providers else "rehearsal-1"
        click.echo(f"    your-tool --model {model}")
        behind = ", ".join(["the rehearsal provider (rehearsal-*)", *providers])
        click.echo(f"\n  behind the doors: {behind}")
        host, port = self._settings.proxy.admin_address
        click.echo(f"  metrics: http://{host}:{port}/metrics     policy, keys, evidence: {self._settings.file.parent}")
        click.secho("\n  Ctrl-C closes the doors.", dim=True)

    # -- the steps ----------------------------------------------------------------------------------------------------

    def _allowed(self) -> None:
        self._title("a call is allowed, and priced")
        status, headers, body = self._ask("ada", "rehearsal-1", "What do you do all day?")
        self._expect(status == 200)
        self._told(f"{json.loads(body)['choices'][0]['message']['content']!r}")
        self._told(f"decision {headers['x-jupiter-decision']}, cost ${headers['x-jupiter-cost-usd']}")

    def _denied(self) -> None:
        self._title("a rule denies, in its author's words")
        status, _, body = self._ask("eve", "rehearsal-large", "The big one, please.")
        self._expect(status == 403)
        error = json.loads(body)["error"]
        self._told(f"{status} {error['code']}: {error['message']}")
        self._told("the provider never heard of it")

    def _streamed(self) -> None:
        self._title("a stream passes event by event")
        click.echo("     ", nl=False)
        words = 0
        for word in self._stream("Tell me slowly. [[gap_ms=60]]"):
            click.echo(word, nl=False)
            sys.stdout.flush()
            words += bool(word)
        click.echo()
        self._expect(words > 3)
        self._told(f"{words} deltas, each as it came")

    def _limited(self) -> None:
        self._title("a limit holds: eve has 3 requests a minute, and used none of them on what was denied")
        statuses = []
        for number in range(4):
            status, headers, _ = self._ask("eve", "rehearsal-1", f"again {number}")
            statuses.append(status)
        self._expect(statuses == [200, 200, 200, 429])
        self._told(f"answers {', '.join(map(str, statuses))}; come back in {headers['retry-after']} s")

    def _intercepted(self) -> None:
        self._title("an app that knows nothing of the gateway is governed all the same")
        context = ssl.create_default_context(cafile=str(self._settings.ca_dir / "mitmproxy-ca-cert.pem"))
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=context, timeout=20)
        connection.set_tunnel("llm.example", 443, {"Proxy-Authorization": _basic(self._keys["ada"])})
        status, headers, _ = _post(connection, _body("rehearsal-1", "Am I alone?"), "my-own-key")
        self._expect(status == 200)
        self._told(f"https://llm.example{CHAT} -> {status}, decision {headers['x-jupiter-decision']}")

    def _recorded(self) -> None:
        self._title("every call left signed evidence, which verifies without trusting the gateway")
        report = self._verify(self._settings.evidence_path)
        self._expect(not report.findings)
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds.most_common())
        self._told(f"{report.leaves} leaves ({kinds}): all as signed")
        command = [sys.executable, "-m", "jupiter_addons.cli.main", "evidence", "query", "-c", str(self._settings.file)]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        for line in shown:
            click.secho(f"     {line}", dim=True)

    def _tampered(self) -> None:
        self._title("and if somebody changes one character of it?")
        copy = self._settings.evidence_path.with_name("tampered.db")
        tampered_copy(self._settings.evidence_path, copy)
        report = self._verify(copy)
        self._expect(bool(report.findings))
        for finding in report.findings[:2]:
            self._told(str(finding))

    # -- the means ----------------------------------------------------------------------------------------------------

    def _verify(self, path: Path) -> Report:
        return verify(rows(path), signing_keys.public_keys(self._settings.signing_dir))

    def _ask(self, user: str, model: str, text: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        return _post(connection, _body(model, text), self._keys[user])

    def _stream(self, text: str) -> Iterator[str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        headers = {"Authorization": f"Bearer {self._keys['ada']}", "Content-Type": "application/json"}
        connection.request("POST", CHAT, json.dumps({**_body("rehearsal-1", text), "stream": True}), headers)
        for line in connection.getresponse():
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                yield choices[0]["delta"].get("content") or "" if choices else ""

    def _title(self, text: str) -> None:
        self._step += 1
        click.secho(f"\n  {self._step}  {text}", bold=True)

    def _told(self, text: str) -> None:
        click.echo(text if self._checked else f"     {text}")
        self._checked = False

    def _expect(self, condition: bool) -> None:
        """The demo shows what happens; if it is not what should, it says so and ends badly."""
        if not condition:
            raise click.ClickException("this is not what should have happened; please report it with the lines above")
        click.secho("   ✓ ", fg="green", nl=False)
        self._checked = True


def _body(model: str, text: str) -> dict[str, Any]:
    return {"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}]}


def _basic(key: str) -> str:
    return "Basic " + b64encode(f"jupiter:{key}".encode()).decode()


def _post(connection: http.client.HTTPConnection, body: dict[str, Any], key: str) -> tuple[int, dict[str, str], bytes]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", CHAT, json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return answer
