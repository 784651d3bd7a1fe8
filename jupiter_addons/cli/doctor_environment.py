"""What `jupiter doctor` sees without asking anybody: the environment that programs started here would have, and our files.

Pure but for reading the files that are named; the environment, the address of the gateway and the time are arguments.
"""

import datetime
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography import x509

from jupiter_addons.cli.finding import Finding
from jupiter_addons.host.certificates import CERTIFICATE_FILE, KEY_FILE
from jupiter_addons.settings.load import is_loopback

type Address = tuple[str, int]

PROXIES = ("HTTPS_PROXY", "https_proxy")
AUTHORITIES: Mapping[str, str] = {
    "SSL_CERT_FILE": "Python and OpenSSL",
    "REQUESTS_CA_BUNDLE": "Python's requests",
    "CURL_CA_BUNDLE": "curl",
    "NODE_EXTRA_CA_CERTS": "Node",
}
"""Variable -> who reads it."""
SOON_DAYS = 30
NODE_READS_PROXIES = ((22, 21), (24, 0))
"""From these versions of two lines on, Node reads the variables of proxies if NODE_USE_ENV_PROXY is 1."""
_ANY = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
_EXEC = "start programs with `jupiter exec -- CMD`, which sets it"


def proxy_of(environ: Mapping[str, str]) -> str | None:
    """Return the proxy that programs find in an environment."""
    return next((environ[name] for name in (*PROXIES, "ALL_PROXY", "all_proxy") if environ.get(name)), None)


def key_of(proxy: str | None) -> str | None:
    """Return the key in the URL of a proxy."""
    try:
        password = urlsplit(proxy or "").password
    except ValueError:
        return None
    return unquote(password) if password else None


def points_to(proxy: str, here: Address) -> bool:
    """Whether the URL of a proxy is that of the gateway at `here`."""
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        host, port = parts.hostname or "", parts.port or 80
    except ValueError:
        return False
    if parts.scheme != "http" or port != here[1]:
        return False
    return host == here[0] or here[0] in _ANY or (is_loopback(host) and is_loopback(here[0]))


def proxies(environ: Mapping[str, str], here: Address) -> Iterator[Finding]:
    """Say whether programs started here go through the gateway."""
    found = proxy_of(environ)
    where = f"http://jupiter:$JUPITER_KEY@{_connectable(here)}:{here[1]}"
    if found is None:
        yield Finding(
            "warn",
            "HTTPS_PROXY",
            "not set: programs started here do not go through the intercept door",
            f"start them with `jupiter exec -- CMD`, or set HTTPS_PROXY={where}; programs that take a base URL need none",
        )
        return
    if not points_to(found, here):
        yield Finding(
            "fail", "HTTPS_PROXY", f"leads to {_shown(found)}, not to the gateway", f"set HTTPS_PROXY={where}"
        )
    elif key_of(found) is None:
        yield Finding("fail", "HTTPS_PROXY", "leads to the gateway and has no key", f"set HTTPS_PROXY={where}")
    else:
        yield Finding("ok", "HTTPS_PROXY", f"leads to the gateway, {_shown(found)}")
    upper, lower = (environ.get(name) for name in PROXIES)
    if upper and lower and upper != lower:
        yield Finding(
            "fail", "https_proxy", "differs from HTTPS_PROXY: some programs read one, some the other", "set both alike"
        )
    elif not upper and not lower:
        yield Finding(
            "warn", "ALL_PROXY", "is set alone, and many programs read HTTPS_PROXY only", "set HTTPS_PROXY as well"
        )
    elif not (upper and lower):
        missing = PROXIES[0] if lower else PROXIES[1]
        yield Finding("warn", missing, "not set, and some programs read this spelling only", "set both alike")


def exceptions(environ: Mapping[str, str], hosts: Sequence[str]) -> Iterator[Finding]:
    """Say which hosts that are to be governed are exempt from the proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        exempt = [host for host in hosts if is_exempt(host, environ.get(name, ""))]
        if exempt:
            advice = f"take them out of {name}, or start programs with `jupiter exec -- CMD`, which drops it"
            yield Finding("fail", name, f"leads round the gateway to {', '.join(exempt)}", advice)
        elif environ.get(name):
            yield Finding("ok", name, "exempts no host that is governed")


def is_exempt(host: str, exceptions: str) -> bool:
    """Whether a program would go to a host directly: `*`, the host, or a domain that it is in (as curl and Python read it)."""
    for entry in exceptions.lower().replace(",", " ").split():
        domain = entry.partition(":")[0].lstrip("*").lstrip(".")
        if entry == "*" or (domain and (host == domain or host.endswith(f".{domain}"))):
            return True
    return False


def authority(directory: Path, now: datetime.datetime) -> Iterator[Finding]:
    """Say whether the certificate authority of the intercept door is there, valid, and private."""
    certificate, key = directory / CERTIFICATE_FILE, directory / KEY_FILE
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
    except FileNotFoundError:
        yield Finding("fail", "authority", f"there is none at {certificate}", "start the gateway once: it makes one")
        return
    except (OSError, ValueError) as error:
        yield Finding(
            "fail", "authority", f"{certificate} cannot be used: {error}", "put the file back, or take it away"
        )
        return
    days = (read.not_valid_after_utc - now).days
    until = read.not_valid_after_utc.date().isoformat()
    if now > read.not_valid_after_utc or now < read.not_valid_before_utc:
        yield Finding(
            "fail",
            "authority",
            f"{certificate} is not valid now, but from {read.not_valid_before_utc.date()} to {until}",
        )
    elif days < SOON_DAYS:
        advice = "take it away and start the gateway: it makes a new one, which programs have to be told of"
        yield Finding("warn", "authority", f"{certificate} is valid for {days} more days", advice)
    else:
        yield Finding("ok", "authority", f"{certificate}, valid until {until}")
    try:
        open_to_others = stat.S_IMODE(key.stat().st_mode) & 0o077
    except OSError as error:
        yield Finding("warn", "authority's key", f"{key} cannot be looked at: {error.strerror}")
        return
    if open_to_others:
        advice = f"chmod 600 {key}; whoever has read it can impersonate any host to the programs that trust it"
        yield Finding("fail", "authority's key", "others can read it", advice)
    else:
        yield Finding("ok", "authority's key", "readable by its owner only")


def trust(environ: Mapping[str, str], certificate: Path) -> Iterator[Finding]:
    """Say which programs started here would trust the authority."""
    try:
        ours = _squeezed(certificate.read_text())
    except OSError:
        return  # `authority` has said it
    for name, who in AUTHORITIES.items():
        named = environ.get(name)
        if not named:
            yield Finding("warn", name, f"not set: {who} will not trust the gateway's certificates", _EXEC)
            continue
        try:
            holds = ours in _squeezed(Path(named).read_text(errors="replace"))
        except OSError as error:
            yield Finding("fail", name, f"{named} cannot be read: {error.strerror}", _EXEC)
            continue
        if holds:
            yield Finding("ok", name, named)
        else:
            yield Finding(
                "fail", name, f"{named} does not hold the gateway's authority", f"add {certificate} to it; or {_EXEC}"
            )


def node(version: str | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Say whether Node heeds the proxy; nothing where there is no Node."""
    if version is None:
        return
    try:
        major, minor = (int(number) for number in version.removeprefix("v").split(".")[:2])
    except ValueError:
        return
    reads = any(
        (major, minor) >= first and (major == first[0] or first is NODE_READS_PROXIES[-1])
        for first in NODE_READS_PROXIES
    )
    if not reads:
        advice = (
            "use Node 24, or give its fetch a proxy agent (undici's EnvHttpProxyAgent), or set the base URL of its SDK"
        )
        yield Finding("warn", "Node", f"{version} ignores HTTPS_PROXY", advice)
    elif environ.get("NODE_USE_ENV_PROXY") != "1":
        yield Finding("warn", "Node", f"{version} ignores HTTPS_PROXY unless NODE_USE_ENV_PROXY is 1", _EXEC)
    else:
        yield Finding("ok", "Node", f"{version} heeds HTTPS_PROXY")


def _connectable(here: Address) -> str:
    host = "127.0.0.1" if here[0] in _ANY else here[0]
    return f"[{host}]" if ":" in host else host


def _shown(proxy: str) -> str:
    """Return the URL of a proxy without its key."""
    scheme, found, rest = proxy.rpartition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"


def _squeezed(pem: str) -> str:
    return "".join(pem.split())
