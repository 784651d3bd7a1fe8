"""From a file to settings, or to everything that is wrong with it."""

import functools
import hashlib
import ipaddress
import json
import operator
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydantic

from jupiter_addons.documents import Node, read
from jupiter_addons.errors import ConfigError, Problem
from jupiter_addons.settings.expand import Expansion
from jupiter_addons.settings.overrides import override
from jupiter_addons.settings.problems import did_you_mean, explain
from jupiter_addons.settings.renames import rename
from jupiter_addons.settings.schema import Settings

NAMES = ("jupiter.yaml", "config/jupiter.yaml")
"""Where a configuration is looked for if none is named."""

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


class Configuration(Settings):
    """Settings with every path made absolute, and what they were read from."""

    file: Path
    digest: str
    """SHA-256 of what is in force, secrets left out."""
    notes: tuple[Problem, ...] = ()
    """What is no error and should be known: old spellings, ports open to others."""

    @property
    def evidence_path(self) -> Path:
        """The evidence database."""
        url = self.evidence.url
        named = None if url is None or not url.startswith("sqlite:") else Path(url.removeprefix("sqlite:"))
        return self._at(named or self.proxy.state_dir / "evidence.db")

    @property
    def evidence_server(self) -> str | None:
        """The URL of the PostgreSQL that has the evidence; None if files have it."""
        url = self.evidence.url
        return url if url is not None and url.startswith("postgresql:") else None

    def spool_dir_of(self, worker: int) -> Path:
        """Where one of several processes keeps what its server has not got yet."""
        return self._at(self.proxy.state_dir / "spool" / str(worker))

    def evidence_path_of(self, worker: int) -> Path:
        """The evidence database of one of several processes; the first has the one that is configured."""
        path = self.evidence_path
        return path if worker == 0 else path.with_stem(f"{path.stem}-{worker}")

    @property
    def evidence_paths(self) -> tuple[Path, ...]:
        """The evidence databases of all workers, also of those that there once were more of; or their spools."""
        if self.evidence_server is not None:
            return tuple(sorted(self._at(self.proxy.state_dir / "spool").glob("*/*.db")))
        return tuple(map(self.evidence_path_of, self.evidence_workers))

    @property
    def evidence_workers(self) -> tuple[int, ...]:
        """The numbers of the workers that have, or had, an evidence database."""
        first = self.evidence_path
        found = (
            path.stem.removeprefix(f"{first.stem}-") for path in first.parent.glob(f"{first.stem}-*{first.suffix}")
        )
        return 0, *sorted({int(number) for number in found if number.isdecimal()} - {0})

    @property
    def subject_keys_path(self) -> Path:
        """The database of the keys under which content is kept."""
        return self._at(self.proxy.state_dir / "subject_keys.db")

    @property
    def outbox_path(self) -> Path:
        """The database of leaves that commands leave for whoever writes the log."""
        return self._at(self.proxy.state_dir / "outbox.db")

    @property
    def content_key_path(self) -> Path:
        """The master key of those keys."""
        return self.signing_dir / "content.key"

    @property
    def limits_path(self) -> Path | None:
        """The database of counters; None if they are kept elsewhere."""
        url = self.limits.storage.url
        if url is not None and not url.startswith("sqlite:"):
            return None
        return self._at(self.proxy.state_dir / "limits.db" if url is None else Path(url.removeprefix("sqlite:")))

    @property
    def state_path(self) -> Path:
        """Where databases and keys are kept."""
        return self._at(self.proxy.state_dir)

    @property
    def signing_dir(self) -> Path:
        """Where the signing keys are."""
        return self._at(self.evidence.signing_key_path or self.proxy.state_dir / "signing")

    @property
    def anchor_dir(self) -> Path:
        """Where the newest checkpoint of each log is kept."""
        return self._at(self.evidence.anchor_path or self.proxy.state_dir / "anchors")

    @property
    def timestamp_ca_file(self) -> Path | None:
        """The file of those who vouch for the time-stamping authority."""
        return None if self.evidence.timestamps is None else self._at(self.evidence.timestamps.ca_file)

    @property
    def keys_path(self) -> Path:
        """The key database."""
        return self._at(self.identity.keys or self.proxy.state_dir / "keys.db")

    @property
    def ca_dir(self) -> Path:
        """Where the certificate authority is."""
        return self._at(self.intercept.ca_dir or self.proxy.state_dir / "ca")

    @property
    def upstream_ca_file(self) -> Path | None:
        """The file of authorities for providers."""
        named = self.security.upstream_ca_file
        return None if named is None else self._at(named)

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
    return _assemble(path, read(str(path), data), environ)


def defaults(file: Path, values: Mapping[str, Any]) -> Configuration:
    """Return a configuration of defaults and `values` as if it stood in `file`; nothing is read.  Raises ConfigError."""
    return _assemble(file, read(str(file), json.dumps(values).encode()), {})


def _assemble(path: Path, root: Node, environ: Mapping[str, str]) -> Configuration:
    if root.entries is None:
        raise ConfigError([root.mark.problem(f"a configuration is a mapping, not {root.kind}")])
    problems, notes = rename(root)
    problems += override(root, environ)
    expansion = Expansion(environ, Path(environ.get("JUPITER_SECRETS_DIR") or path.resolve().parent / "secrets"))
    expansion.expand(root)
    problems += expansion.problems
    settings, found = _validate(root)
    if settings is not None:
        found += _cross_check(root, settings)
        notes += _cautions(root, settings)
    # What could not be filled in is empty, and what is wrong with that has been said.
    said = {(problem.file, problem.line, problem.column) for problem in expansion.problems}
    problems += [problem for problem in found if (problem.file, problem.line, problem.column) not in said]
    if problems or settings is None:
        raise ConfigError(sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column)))
    digest = hashlib.sha256(settings.model_dump_json(by_alias=True).encode()).hexdigest()
    return Configuration.model_construct(**dict(settings), file=path.resolve(), digest=digest, notes=tuple(notes))


def _validate(root: Node) -> tuple[Settings | None, list[Problem]]:
    """Return the settings, as far as they can be had, and what is wrong with them; an unknown key hides nothing else."""
    values: Any = root.plain()
    found: list[Problem] = []
    while True:
        try:
            return Settings.model_validate(values), found
        except pydantic.ValidationError as error:
            errors = error.errors(include_url=False, include_input=False)
        found += explain(root, errors)
        if any(one["type"] != "extra_forbidden" for one in errors):
            return None, found
        for one in errors:
            *path, key = one["loc"]
            functools.reduce(operator.getitem, path, values).pop(key)


def _cross_check(root: Node, settings: Settings) -> list[Problem]:
    problems: list[Problem] = []
    for host, provider in settings.intercept.hosts.items():
        mark = root.find(("intercept", "hosts", host))
        if provider not in settings.providers:
            hint = did_you_mean(provider, list(settings.providers))
            problems.append(mark.problem(f"`{provider}` is not one of the providers", hint))
        elif settings.intercept.client_key == "swap" and settings.providers[provider].api_key is None:
            message = f"`intercept.client_key` is `swap`, and provider `{provider}` has no `api_key`"
            problems.append(mark.problem(message))
        if not _HOST.fullmatch(host):
            problems.append(mark.problem(f"`{host}` is not a host name in lower case without a port"))
    problems += _unknown_in_order(root, settings)
    if settings.proxy.workers > 1 and settings.limits.storage.url == "memory:":
        message = "`proxy.workers` is more than 1, and each worker would count the limits for itself"
        hint = "leave `limits.storage.url` out, so that they share a database, or name a Redis server"
        problems.append(root.find(("limits", "storage", "url")).problem(message, hint))
    cors = settings.proxy.cors
    if cors.enabled and not cors.allowed_origins:
        problems.append(root.find(("proxy", "cors")).problem("`proxy.cors` is enabled and allows no origin"))
    if cors.enabled and cors.allow_credentials and "*" in cors.allowed_origins:
        message = "`proxy.cors` cannot allow credentials to every origin"
        problems.append(root.find(("proxy", "cors", "allow_credentials")).problem(message))
    listen, admin = settings.proxy.listen_address, settings.proxy.admin_address
    if listen == admin and admin[1] != 0:
        mark = root.find(("proxy", "admin_address"))
        problems.append(mark.problem("the admin port must not be the proxy's own"))
    return problems


def _unknown_in_order(root: Node, settings: Settings) -> Iterator[Problem]:
    """Yield the names in an order of providers that are no provider's."""
    routing = settings.routing
    orders: list[tuple[tuple[str | int, ...], list[str]]] = [(("routing", "order"), routing.order)]
    orders += [(("routing", "by_model", model, "order"), entry.order) for model, entry in routing.by_model.items()]
    for path, names in orders:
        for place, name in enumerate(names):
            if name not in settings.providers:
                hint = did_you_mean(name, list(settings.providers))
                yield root.find((*path, place)).problem(f"`{name}` is not one of the providers", hint)


def _cautions(root: Node, settings: Settings) -> Iterator[Problem]:
    """Yield what works as written and may not be meant."""
    for key, address in (("listen", settings.proxy.listen_address), ("admin", settings.proxy.admin_address)):
        if not is_loopback(address[0]):
            mark = root.find(("proxy", f"{key}_address"))
            what = "keys and prompts travel in clear" if key == "listen" else "metrics are there for all who reach it"
            message = f"`proxy.{key}_address` {address[0]} can be reached from other machines: {what}"
            yield mark.problem(message, "put TLS in front of it" if key == "listen" else None)
    for name, provider in settings.providers.items():
        url = urlsplit(provider.base_url)
        if url.scheme == "http" and provider.api_key is not None and not is_loopback(url.hostname or ""):
            yield root.find(("providers", name, "base_url")).problem(
                f"the key of `{name}` is sent in clear", "use https"
            )
    teams = {entry.team for entry in settings.identity.principals.values()}
    for team in settings.limits.by_team:
        if team not in teams:
            yield root.find(("limits", "by_team", team)).problem(f"no principal is in team `{team}`")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`; a name other than `localhost` is taken for one that others can."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
