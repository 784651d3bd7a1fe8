"""From a file to settings, or to everything that is wrong with it."""

import difflib
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pydantic
from pydantic_core import ErrorDetails

from jupiter_addons.documents import Node, read
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.settings.expand import Expansion, override
from jupiter_addons.settings.schema import Settings

NAMES = ("jupiter.yaml", "config/jupiter.yaml")
"""Where a configuration is looked for if none is named."""

_LATER: Mapping[tuple[str | int, ...], str] = {
    ("telemetry", "health"): "probes are always on, at /health and /ready",
    ("proxy", "read_timeout"): "write `proxy.limits.header_timeout`",
    ("proxy", "max_header_bytes"): "write `proxy.limits.header_bytes`",
    ("limits", "rate_limits"): "write `limits.default`, `limits.by_user` and `limits.by_team`",
    ("limits", "budgets"): "budgets are not available in this version",
    ("evidence", "archive_url"): "archives are not available in this version",
    ("evidence", "retention"): "retention is not available in this version",
    ("telemetry", "tracing"): "traces are not available in this version",
    ("security",): "TLS and mTLS on the listener are not available in this version",
    ("proxy", "cors"): "CORS is not available in this version",
    ("routing", "failover"): "failover is not available in this version",
    ("routing", "model_mapping"): "model mapping is not available in this version",
    ("policy", "watch"): "policies are read at start in this version",
    ("processing", "content"): "content detectors are not available in this version",
}


class Configuration(Settings):
    """Settings with every path made absolute, and what they were read from."""

    file: Path
    digest: str
    """SHA-256 of what is in force, secrets left out."""

    @property
    def evidence_path(self) -> Path:
        """The evidence database."""
        return self._at(Path(self.evidence.url.removeprefix("sqlite:")))

    @property
    def signing_dir(self) -> Path:
        """Where the signing keys are."""
        return self._at(self.evidence.signing_key_path or self.proxy.state_dir / "signing")

    @property
    def keys_path(self) -> Path:
        """The key database."""
        return self._at(self.identity.keys or self.proxy.state_dir / "keys.db")

    @property
    def ca_dir(self) -> Path:
        """Where the certificate authority is."""
        return self._at(self.intercept.ca_dir or self.proxy.state_dir / "ca")

    @property
    def policy_path(self) -> Path | None:
        """The policy file or directory."""
        return None if self.policy.file_path is None else self._at(self.policy.file_path)

    def _at(self, path: Path) -> Path:
        return self.file.parent / path


def find(environ: Mapping[str, str], directory: Path) -> Path:
    """Return the configuration file to use when none is named.  Raises ConfigError."""
    if named := environ.get("JUPITER_CONFIG"):
        return Path(named)
    for name in NAMES:
        if (directory / name).is_file():
            return directory / name
    hint = "write one (config/minimal.yaml is the smallest), or name it with -c"
    raise ConfigError([Problem("jupiter.yaml", 0, 0, "there is no configuration here", hint)])


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Configuration:
    """Return the configuration in `path`.  Raises ConfigError with every problem found."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from error
    root = read(str(path), data)
    if root.entries is None:
        raise ConfigError([root.mark.problem(f"a configuration is a mapping, not {root.kind}")])
    problems = override(root, environ)
    expansion = Expansion(environ, Path(environ.get("JUPITER_SECRETS_DIR", path.resolve().parent / "secrets")))
    expansion.expand(root)
    problems += expansion.problems
    settings, found = _validate(root)
    problems += found
    if settings is not None:
        problems += _cross_check(root, settings)
    if problems or settings is None:
        raise ConfigError(problems)
    digest = hashlib.sha256(settings.model_dump_json(by_alias=True).encode()).hexdigest()
    return Configuration.model_construct(**dict(settings), file=path.resolve(), digest=digest)


def _validate(root: Node) -> tuple[Settings | None, list[Problem]]:
    try:
        return Settings.model_validate(root.plain()), []
    except pydantic.ValidationError as error:
        return None, [_problem(root, detail) for detail in error.errors(include_url=False)]


def _problem(root: Node, detail: ErrorDetails) -> Problem:
    path = tuple(step for step in detail["loc"] if step != "[key]")
    name = ".".join(str(step) for step in path)
    mark = root.find(path)
    match detail["type"]:
        case "extra_forbidden":
            parent = _node_at(root, path[:-1])
            key = str(path[-1])
            mark = parent.key_marks.get(key, mark)
            later = _LATER.get(path) or _LATER.get(path[:1] if path[0] == "security" else ())
            if later is not None:
                return mark.problem(f"`{name}` cannot be set", later)
            return mark.problem(f"unknown key `{name}`", _did_you_mean(key, _fields_at(path[:-1])))
        case "missing":
            return mark.problem(f"`{name}` is required")
        case "literal_error":
            return mark.problem(f"`{name}` must be {detail['ctx']['expected']} in this version")
        case "value_error":
            return mark.problem(f"`{name}`: {detail['ctx']['error']}")
        case "string_pattern_mismatch":
            return mark.problem(f"`{name}` does not have the form {detail['ctx']['pattern']}")
    message = detail["msg"]
    return mark.problem(f"`{name}`: {message[:1].lower()}{message[1:]}")


def _node_at(root: Node, path: Iterable[str | int]) -> Node:
    node = root
    for step in path:
        if node.entries is not None and isinstance(step, str):
            node = node.entries.get(step, node)
    return node


def _fields_at(path: Iterable[str | int]) -> list[str]:
    """Return the keys that a section has, following the schema down a path."""
    schema: Any = Settings.model_json_schema()
    definitions, node = schema["$defs"], schema
    for step in path:
        node = (node.get("properties") or {}).get(str(step)) or node.get("additionalProperties") or {}
        while "$ref" in node or "allOf" in node:
            node = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node["allOf"][0]
        if "patternProperties" in node:
            node = {"additionalProperties": next(iter(node["patternProperties"].values()))}
        while "$ref" in node:
            node = definitions[node["$ref"].rpartition("/")[2]]
    return list(node.get("properties") or {})


def _did_you_mean(word: str, known: list[str]) -> str | None:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean `{near[0]}`?"
    return f"known here are {', '.join(known)}" if known else None


def _cross_check(root: Node, settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    for host, provider in settings.intercept.hosts.items():
        if provider not in settings.providers:
            mark = root.find(("intercept", "hosts", host))
            hint = _did_you_mean(provider, list(settings.providers))
            problems.append(mark.problem(f"`{provider}` is not one of the providers", hint))
        if host != host.lower() or ":" in host or "/" in host:
            mark = root.find(("intercept", "hosts", host))
            problems.append(mark.problem(f"`{host}` is not a host name in lower case without a port"))
    if settings.proxy.listen_address == settings.proxy.admin_address:
        mark = root.find(("proxy", "admin_address"))
        problems.append(mark.problem("the admin port must not be the proxy's own"))
    return problems
