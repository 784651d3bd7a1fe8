"""The mitmproxy options we depend on: what stock defaults get wrong, and what must never be set.

Used alike by `jupiter run` and under `mitmdump -s`, where another script or the command line may have said otherwise.
"""

from mitmproxy import exceptions
from mitmproxy.options import Options

# Lazy: eager dials the upstream of requests that are then denied.  Raw TCP, WebSocket, HTTP/3: ways past the chain.
# block_global: kills clients with public addresses, silently.  Onboarding: a web page on the proxy's own port.
REQUIRED: dict[str, object] = {
    "connection_strategy": "lazy",
    "upstream_cert": False,
    "rawtcp": False,
    "websocket": False,
    "http3": False,
    "block_global": False,
    "onboarding": False,
    "flow_detail": 0,
    "http2_ping_keepalive": 0,
    "tcp_timeout": 3600,
    "show_ignored_hosts": False,
}

FORBIDDEN: dict[str, str] = {
    "stream_large_bodies": "a request body that is streamed cannot be decided on",
    "body_size_limit": "the limit is `proxy.limits.body` in the configuration",
    "ssl_insecure": "providers' certificates are always verified",
    "ignore_hosts": "hosts are opened or tunnelled by `intercept` in the configuration",
    "allow_hosts": "hosts are opened or tunnelled by `intercept` in the configuration",
    "tcp_hosts": "hosts are opened or tunnelled by `intercept` in the configuration",
    "map_remote": "providers are chosen by `providers` in the configuration",
    "modify_body": "bodies are changed by policy rules only",
    "modify_headers": "headers are changed by the chain only",
    "map_local": "answers come from providers or from the chain",
    "proxyauth": "callers are known by their Jupiter keys",
    "server_replay": "answers come from providers or from the chain",
    "emudhra": "it signs with a published private key",
    "emudhra_old": "it signs with a published private key",
}


def check(options: Options) -> None:
    """Raise OptionsError, which stops the start or rolls the change back, if an option would open a way past the chain."""
    for name, reason in FORBIDDEN.items():
        if name in options and getattr(options, name):
            raise exceptions.OptionsError(f"the mitmproxy option `{name}` cannot be set with Jupiter: {reason}")
    if "validate_inbound_headers" in options and not options.validate_inbound_headers:
        raise exceptions.OptionsError("the mitmproxy option `validate_inbound_headers` must stay on")


def require(options: Options) -> None:
    """Set every required option that this master has."""
    options.update(**{name: value for name, value in REQUIRED.items() if name in options})
