"""What `jupiter doctor` asks: the gateway, over the addresses of its configuration, and with `--online` its providers."""

import http.client
import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import certifi

from jupiter_addons.cli.finding import Finding
from jupiter_addons.cli.text import counted
from jupiter_addons.routing.provider import address
from jupiter_addons.settings.load import Configuration, is_loopback

TIMEOUT_S = 5.0
_HEAD_BYTES = 64 * 1024
_RUN = "start it: jupiter run"
_NEEDS_NO_KEY = ("ollama", "openai-compatible", "rehearsal")


class Gateway:
    """A gateway that may be running."""

    def __init__(self, settings: Configuration) -> None:
        self._settings = settings
        self.data, self.admin = (
            ("127.0.0.1" if host in ("0.0.0.0", "::") else host, port)  # noqa: S104 - compared, not bound
            for host, port in (settings.proxy.listen_address, settings.proxy.admin_address)
        )

    def get(self, where: tuple[str, int], path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Return status and body.  Raises OSError if there is no answer."""
        connection = http.client.HTTPConnection(*where, timeout=TIMEOUT_S)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP answer: {error!r}") from error
        finally:
            connection.close()

    def report(self, path: str) -> Mapping[str, Any]:
        """Return a report of the admin port.  Raises OSError."""
        status, body = self.get(self.admin, path)
        if status != 200:
            raise OSError(f"{path} was answered {status}")
        found: Mapping[str, Any] = json.loads(body)
        return found

    def calls(self) -> dict[str, float]:
        """Return how many requests were answered, by how they ended.  Raises OSError."""
        status, body = self.get(self.admin, "/metrics")
        if status != 200:
            raise OSError("metrics are off (`telemetry.metrics.enabled`)")
        found: dict[str, float] = {}
        for line in body.decode().splitlines():
            if line.startswith("jupiter_requests_total{"):
                labels, _, value = line.rpartition(" ")
                code = labels.partition('code="')[2].partition('"')[0]
                found[code] = found.get(code, 0) + float(value)
        return found

    def ready(self) -> Finding:
        """Say whether a governed call would be served now."""
        where = f"{self.data[0]}:{self.data[1]}"
        try:
            status, body = self.get(self.data, "/ready")
        except OSError as error:
            return Finding("fail", "gateway", f"{where} does not answer: {_why(error)}", _RUN)
        if status == 200:
            return Finding("ok", "gateway", f"{where} is ready")
        try:
            failing = [name for name, well in json.loads(body)["checks"].items() if not well]
        except (ValueError, KeyError, TypeError, AttributeError):
            advice = "is another program on this port? see `proxy.listen_address`"
            return Finding("fail", "gateway", f"{where} answers {status}, not as a gateway does", advice)
        return Finding("fail", "gateway", f"{where} is not ready: {', '.join(failing)}", "its log says why")

    def admin_port(self) -> Finding:
        """Say whether the admin port answers."""
        where = f"{self.admin[0]}:{self.admin[1]}"
        try:
            status, _ = self.get(self.admin, "/health")
        except OSError as error:
            return Finding("warn", "admin port", f"{where} does not answer: {_why(error)}", _RUN)
        if status != 200:
            return Finding("warn", "admin port", f"{where} answers {status}", "is another program on this port?")
        return Finding("ok", "admin port", f"{where} answers")

    def accepts(self, key: str, name: str) -> Finding:
        """Say whether a key is good."""
        try:
            status, body = self.get(self.data, "/v1/models", {"authorization": f"Bearer {key}"})
        except (OSError, ValueError) as error:
            return Finding("fail", name, f"could not be tried: {type(error).__name__}")
        if status == 200:
            models = len(json.loads(body)["data"])
            note = "" if models else "; no model is listed for it"
            return Finding("ok" if models else "warn", name, f"the key is accepted{note}")
        if status == 401:
            return Finding(
                "fail", name, "the key is not valid, was revoked or has expired", "jupiter keys create --user NAME"
            )
        return Finding("warn", name, f"the key could not be tried: status {status}", "the gateway's log says why")

    def opens(self, host: str, key: str, authority: Path) -> Finding:
        """Say whether the gateway opens a host, with a certificate that its authority has signed.  Nothing is sent to it."""
        credentials = b64encode(f"jupiter:{key}".encode()).decode()
        ask = f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nProxy-Authorization: Basic {credentials}\r\n\r\n"
        try:
            with socket.create_connection(self.data, TIMEOUT_S) as plain:
                plain.sendall(ask.encode())
                status = plain.recv(_HEAD_BYTES).partition(b"\r\n")[0].decode("latin-1")
                if " 200" not in status:
                    return Finding("fail", "intercept door", f"{host} is not opened: {status}", "its log says why")
                with ssl.create_default_context(cafile=str(authority)).wrap_socket(plain, server_hostname=host):
                    return Finding("ok", "intercept door", f"{host} is opened, and its certificate verifies")
        except ssl.SSLError as error:
            advice = f"does the gateway use another authority than {authority}? restart it"
            return Finding(
                "fail",
                "intercept door",
                f"{host} is opened, and its certificate does not verify: {error.reason}",
                advice,
            )
        except OSError as error:
            return Finding("fail", "intercept door", f"{host} could not be tried: {_why(error)}", _RUN)

    def providers(self) -> Iterator[Finding]:
        """Say which providers the gateway has found unwell."""
        try:
            known = self.report("/health/providers")["providers"]
        except (OSError, ValueError, KeyError):
            return  # `admin_port` has said it
        for name, provider in known.items():
            for model, entry in provider["models"].items():
                if entry["status"] != "healthy":
                    last = entry["last_failure"]
                    why = f" ({last['reason']}, {last['at']})" if last else ""
                    yield Finding(
                        "warn", f"provider {name}", f"`{model}` is {entry['status']}{why}", "see /health/providers"
                    )

    def tunnels(self) -> Iterator[Finding]:
        """Say which hosts programs did not get through to lately."""
        try:
            hosts = self.report("/tunnels")["hosts"]
        except (OSError, ValueError, KeyError):
            return
        for host, fates in hosts.items():
            if finding := tunnel(host, fates):
                yield finding


def tunnel(host: str, fates: Mapping[str, Any]) -> Finding | None:
    """Say what is wrong with what became of a host's tunnels; None if nothing is."""
    if refused := fates.get("tls_failed"):
        return Finding(
            "warn",
            f"tunnel {host}",
            f"{counted(refused, 'time')} a program would not have our certificate",
            "it does not know the authority, or it pins its provider's certificate: then set its base URL instead",
        )
    if denied := fates.get("denied"):
        advice = "name it under `intercept.hosts` to govern it; `unknown_hosts: tunnel` passes unknown ones on"
        return Finding("warn", f"tunnel {host}", f"denied {counted(denied, 'time')}", advice)
    return None


def keys(settings: Configuration) -> Iterator[Finding]:
    """Say which providers we have a key for."""
    for name, provider in settings.providers.items():
        if provider.api_key is not None or any(
            h.lower() in ("authorization", "x-api-key", "api-key") for h in provider.headers
        ):
            yield Finding("ok", f"provider {name}", "has a key")
        elif provider.type in _NEEDS_NO_KEY:
            yield Finding("ok", f"provider {name}", f"has no key, which `{provider.type}` may not need")
        else:
            advice = f"set `providers.{name}.api_key`"
            yield Finding(
                "warn", f"provider {name}", "has no key: only clients of the intercept door can bring their own", advice
            )


def reach(settings: Configuration, *, online: bool) -> Iterator[Finding]:
    """Say which providers can be reached and whether their certificates verify; those elsewhere only `online`."""
    for name, provider in settings.providers.items():
        scheme, host, port, _ = address(provider.base_url)
        if not online and not is_loopback(host):
            continue
        try:
            with socket.create_connection((host, port), TIMEOUT_S) as plain:
                if scheme == "https":
                    context = ssl.create_default_context(cafile=certifi.where())
                    if settings.upstream_ca_file is not None:
                        context.load_verify_locations(settings.upstream_ca_file)
                    context.wrap_socket(plain, server_hostname=host).close()
            yield Finding("ok", f"provider {name}", f"{host}:{port} can be reached")
        except ssl.SSLCertVerificationError as error:
            advice = "if an authority of your own signs it, name that in `security.upstream_ca_file`"
            yield Finding(
                "fail", f"provider {name}", f"the certificate of {host} does not verify: {error.verify_message}", advice
            )
        except OSError as error:
            yield Finding(
                "fail", f"provider {name}", f"{host}:{port} cannot be reached: {_why(error)}", "see its `base_url`"
            )


def _why(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
