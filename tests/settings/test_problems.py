"""Broken configurations: each is refused with a message at the place it is about."""

import textwrap

import pytest

from jupiter_addons.errors import ConfigError
from jupiter_addons.settings.load import load

PROVIDERS = "providers: {p: {type: rehearsal, base_url: http://127.0.0.1:1/v1, models: [m]}}\n"

BROKEN = {
    # what is no YAML, or no mapping
    "unclosed list": ("a: [1,\n", "2:1: not valid YAML: expected the node content, but found '<stream end>'"),
    "tab": ("\ta: 1\n", "1:1: not valid YAML: found character '\\t' that cannot start any token"),
    "two documents": ("a: 1\n---\nb: 2\n", "2:1: not valid YAML: but found another document"),
    "list": ("- proxy\n", "1:1: a configuration is a mapping, not a list"),
    "plain text": ("proxy\n", "1:1: a configuration is a mapping, not a string"),
    "empty file": ("", "1:1: `providers` is required"),
    "tag": (
        "proxy: !!python/object:os.system {}\n",
        "1:8: the tag `tag:yaml.org,2002:python/object:os.system` is not allowed",
    ),
    "own tag": ("environment: !env HOME\n", "1:14: the tag `!env` is not allowed"),
    "merge key": ("proxy:\n  <<: {workers: 1}\n", "2:3: a key must be plain text"),
    "unknown alias": ("environment: *x\n", "1:14: not valid YAML: found undefined alias 'x'"),
    "duplicate key": ("environment: a\nenvironment: b\n", "2:1: `environment` is given twice; the first is in line 1"),
    "nested duplicate": (
        "proxy:\n  workers: 1\n  workers: 1\n",
        "3:3: `workers` is given twice; the first is in line 2",
    ),
    "endless alias": ("a: &a [*a]\n", "1:4: the file is nested deeper than 32 levels"),
    "number of 200 digits": (
        f"proxy: {{workers: {'9' * 200}}}\n",
        "1:18: the number has more than 100 characters; hint: quote it",
    ),
    # keys
    "mistyped section": (PROVIDERS + "proxi: {}\n", "2:1: unknown key `proxi`; hint: did you mean `proxy`?"),
    "mistyped key": (
        PROVIDERS + "proxy:\n  listen_adress: 127.0.0.1:1\n",
        "3:3: unknown key `proxy.listen_adress`; hint: did you mean `listen_address`?",
    ),
    "key of another section": (
        PROVIDERS + "max_in_flight: 3\n",
        "2:1: unknown key `max_in_flight`; hint: did you mean `proxy.max_in_flight`?",
    ),
    "key far from any": (
        PROVIDERS + "routing: {zzz: 1}\n",
        "2:11: unknown key `routing.zzz`; hint: known here are strategy, order, require, residency, sticky, "
        "aliases, by_model, fallbacks, failover, circuit_breaker, ejection",
    ),
    "key of a provider": (
        "providers:\n  p:\n    type: rehearsal\n    base_url: http://h/v1\n    models: [m]\n    apikey: x\n",
        "6:5: unknown key `providers.p.apikey`; hint: did you mean `api_key`?",
    ),
    "key of a rate": (
        PROVIDERS + "limits:\n  by_user:\n    alice: {requests_per_minut: 5}\n",
        "4:13: unknown key `limits.by_user.alice.requests_per_minut`; hint: did you mean `requests_per_minute`?",
    ),
    "key of a price": (
        PROVIDERS + "processing: {costs: {overrides: {m: {input: 1, output: 1, cache_reed: 1}}}}\n",
        "2:59: unknown key `processing.costs.overrides.m.cache_reed`; hint: did you mean `cache_read`?",
    ),
    "the python name of a key": (
        PROVIDERS + "limits: {overall: {}}\n",
        "2:10: unknown key `limits.overall`; hint: known here are storage, time_zone, enforcement, default, "
        "by_user, by_key, by_team, by_organisation, by_model, by_provider, global",
    ),
    "key of an older version": (
        PROVIDERS + "security: {secrets: {}}\n",
        "2:12: `security.secrets` cannot be set; hint: secrets are files of $JUPITER_SECRETS_DIR, written `${secret:name}`",
    ),
    # what is missing
    "no providers": ("environment: test\n", "1:1: `providers` is required"),
    "empty providers": ("providers: {}\n", "1:12: `providers` must not be empty"),
    "null providers": ("providers:\n", "1:11: `providers` must be a mapping, not null"),
    "provider without an address": (
        "providers:\n  p:\n    type: rehearsal\n    models: [m]\n",
        "3:5: `providers.p.base_url` is required",
    ),
    "provider without models": (
        "providers:\n  p: {type: rehearsal, base_url: http://h/v1, models: []}\n",
        "2:55: `providers.p.models` must not be empty",
    ),
    # shapes
    "null section": (PROVIDERS + "proxy:\n", "2:7: `proxy` must be a mapping, not null"),
    "text for a section": (PROVIDERS + "proxy: fast\n", "2:8: `proxy` must be a mapping, not a string"),
    "text for a list": (
        "providers: {p: {type: rehearsal, base_url: http://h, models: m}}\n",
        "1:62: `providers.p.models` must be a list, not a string",
    ),
    "number for text": (
        "providers: {p: {type: rehearsal, base_url: http://h, models: [4]}}\n",
        "1:63: `providers.p.models[0]` must be a string, not a number; hint: put it in quotes",
    ),
    "true for text": (
        PROVIDERS + "environment: true\n",
        "2:14: `environment` must be a string, not true or false; hint: put it in quotes",
    ),
    "text for a number": (
        PROVIDERS + "proxy: {max_in_flight: many}\n",
        "2:24: `proxy.max_in_flight` must be a whole number, not a string",
    ),
    "fraction for a whole number": (
        PROVIDERS + "proxy: {max_in_flight: 1.5}\n",
        "2:24: `proxy.max_in_flight` must be a whole number, not a number with a fraction",
    ),
    "true for a number": (
        PROVIDERS + "proxy: {max_in_flight: true}\n",
        "2:24: `proxy.max_in_flight`: a number is needed, not true or false",
    ),
    "zero": (PROVIDERS + "proxy: {max_in_flight: 0}\n", "2:24: `proxy.max_in_flight` must be at least 1"),
    "weight too large": (
        "providers: {p: {type: rehearsal, base_url: http://h, models: [m], weight: 1001}}\n",
        "1:75: `providers.p.weight` must be at most 1000",
    ),
    "list for an attribute": (
        PROVIDERS + "identity: {principals: {a: {attributes: {tier: [x]}}}}\n",
        "2:48: `identity.principals.a.attributes.tier` must be a string, a number or true or false, not a list",
    ),
    "word for a switch": (
        PROVIDERS + "intercept: {enabled: maybe}\n",
        "2:22: `intercept.enabled` must be true or false, not a string",
    ),
    # values
    "duration without sense": (
        PROVIDERS + "proxy: {shutdown_timeout: 30 seconds}\n",
        "2:27: `proxy.shutdown_timeout`: a duration is written like 250ms, 30s, 5m, 1h or 90d",
    ),
    "timeout of nothing": (
        PROVIDERS + "proxy: {limits: {header_timeout: 0s}}\n",
        "2:34: `proxy.limits.header_timeout`: a timeout is longer than 0",
    ),
    "size in another unit": (
        PROVIDERS + "proxy: {limits: {body: 10MB}}\n",
        "2:24: `proxy.limits.body`: a size is written like 64KiB or 10MiB",
    ),
    "address without a port": (
        PROVIDERS + "proxy: {listen_address: localhost}\n",
        "2:25: `proxy.listen_address`: an address is written like 127.0.0.1:8080 or [::1]:8080",
    ),
    "port out of range": (
        PROVIDERS + "proxy: {listen_address: 127.0.0.1:65536}\n",
        "2:25: `proxy.listen_address`: an address is written like 127.0.0.1:8080 or [::1]:8080",
    ),
    "choice": (
        PROVIDERS + "intercept: {unknown_hosts: tunel}\n",
        "2:28: `intercept.unknown_hosts` must be tunnel or deny; hint: did you mean `tunnel`?",
    ),
    "name of a provider": (
        "providers:\n  My Provider: {type: rehearsal, base_url: http://h, models: [m]}\n",
        "2:3: the name `My Provider` must be 1 to 32 characters of a-z, 0-9, - and _, a letter first",
    ),
    "environment": (
        PROVIDERS + "environment: Production!\n",
        "2:14: `environment` must be 1 to 32 characters of a-z, 0-9, - and _, a letter first",
    ),
    "base URL of another scheme": (
        "providers: {p: {type: openai, base_url: ftp://h, models: [m]}}\n",
        "1:41: `providers.p.base_url`: a base URL starts with http:// or https://",
    ),
    "base URL with a key": (
        "providers: {p: {type: openai, base_url: 'https://u:k@h/v1', models: [m]}}\n",
        "1:41: `providers.p.base_url`: the base URL must not hold credentials; use `api_key`",
    ),
    "empty key": (
        "providers: {p: {type: openai, base_url: https://h, models: [m], api_key: ''}}\n",
        "1:74: `providers.p.api_key`: the key is empty; leave it out if there is none",
    ),
    "key with a line end": (
        'providers: {p: {type: openai, base_url: https://h, models: [m], api_key: "a\\nb"}}\n',
        "1:74: `providers.p.api_key`: the key has characters that cannot be sent in a header",
    ),
    "header that frames": (
        "providers: {p: {type: openai, base_url: https://h, models: [m], headers: {Content-Length: '1'}}}\n",
        "1:74: `providers.p.headers`: `Content-Length` is written by the proxy itself",
    ),
    "header with a line end": (
        'providers: {p: {type: openai, base_url: https://h, models: [m], headers: {X-A: "a\\r\\nb"}}}\n',
        "1:74: `providers.p.headers`: the value of `X-A` cannot be sent in a header",
    ),
    "half a price": (
        PROVIDERS + "processing: {costs: {overrides: {m: {input: 1}}}}\n",
        "2:33: `processing.costs.overrides`: the price of `m` needs `input` and `output`",
    ),
    "price that is none": (
        PROVIDERS + "processing: {costs: {overrides: {m: {input: 1, output: nan}}}}\n",
        "2:33: `processing.costs.overrides`: the `output` price of `m` is not a number of dollars from 0 to 1000000",
    ),
    # what fits together
    "host of no provider": (
        PROVIDERS.replace("{p:", "{openai:") + "intercept: {hosts: {api.openai.com: opanai}}\n",
        "2:37: `opanai` is not one of the providers; hint: did you mean `openai`?",
    ),
    "host with a port": (
        PROVIDERS + "intercept: {hosts: {'api.openai.com:443': p}}\n",
        "2:43: `api.openai.com:443` is not a host name in lower case without a port",
    ),
    "swap without a key": (
        PROVIDERS + "intercept: {client_key: swap, hosts: {h.example: p}}\n",
        "2:50: `intercept.client_key` is `swap`, and provider `p` has no `api_key`",
    ),
    "workers that would each count the limits": (
        PROVIDERS + "proxy: {workers: 2}\nlimits: {storage: {url: 'memory:'}}\n",
        "3:25: `proxy.workers` is more than 1, and each worker would count the limits for itself; hint: leave "
        "`limits.storage.url` out, so that they share a database, or name a Redis server",
    ),
    "a store of counters that is none": (
        PROVIDERS + "limits: {storage: {url: 'sqlite:'}}\n",
        "2:25: `limits.storage.url`: a store of counters is `memory:`, `sqlite:` and a path, or `redis://host:6379/0`",
    ),
    "a Redis server that is nowhere": (
        PROVIDERS + "limits: {storage: {url: 'redis://:secret@h:x'}}\n",
        "2:25: `limits.storage.url`: a Redis server is named like redis://host:6379/0 or rediss://user:password@host:6380/0",
    ),
    "a zone that there is not": (
        PROVIDERS + "limits: {time_zone: Europe/Atlantis}\n",
        "2:21: `limits.time_zone`: there is no time zone `Europe/Atlantis`; zones are named like Europe/Berlin",
    ),
    "more money than can be counted": (
        PROVIDERS + "limits: {global: {usd_per_day: 9000001}}\n",
        "2:32: `limits.global.usd_per_day`: an amount of money is more than 0 and at most 9000000 dollars",
    ),
    "a limit without its number": (
        PROVIDERS + "limits: {global: {usd_per_day: {window: calendar}}}\n",
        "2:32: `limits.global.usd_per_day.limit` is required",
    ),
    "a key that is no id": (
        PROVIDERS + "limits: {by_key: {sk-abc: {requests_per_day: 1}}}\n",
        "2:19: the name `sk-abc` must be the id of a key, as `jupiter keys list` tells it",
    ),
    "CORS for nobody": (
        PROVIDERS + "proxy: {cors: {enabled: true}}\n",
        "2:15: `proxy.cors` is enabled and allows no origin",
    ),
    "CORS with credentials for all": (
        PROVIDERS + "proxy: {cors: {enabled: true, allowed_origins: ['*'], allow_credentials: true}}\n",
        "2:74: `proxy.cors` cannot allow credentials to every origin",
    ),
    "CORS for a path": (
        PROVIDERS + "proxy: {cors: {allowed_origins: [https://a.example/x]}}\n",
        "2:33: `proxy.cors.allowed_origins`: `https://a.example/x` is not an origin such as https://app.example",
    ),
    "an order that names nobody": (
        PROVIDERS + "routing: {by_model: {m: {strategy: manual, order: [p, q]}}}\n",
        "2:55: `q` is not one of the providers; hint: known here are p",
    ),
    "manual without an order": (
        PROVIDERS + "routing: {strategy: manual}\n",
        "2:10: `routing`: the strategy `manual` needs an `order`",
    ),
    "manual for a model without an order": (
        PROVIDERS + "routing: {by_model: {m: {strategy: manual}}}\n",
        "2:10: `routing`: the strategy of `m` is `manual`, which needs an `order`",
    ),
    "an alias of an alias": (
        PROVIDERS + "routing: {aliases: {a: b, b: m}}\n",
        "2:10: `routing`: alias `a` stands for `b`, which is an alias itself",
    ),
    "a version of what has none": (
        "providers: {p: {type: openai, base_url: http://h, models: [m], api_version: '1'}}\n",
        "1:16: `providers.p`: `api_version` is for providers of type `azure-openai`",
    ),
    "a tag that is none": (
        "providers: {p: {type: openai, base_url: http://h, models: [m], tags: [a b]}}\n",
        "1:71: `providers.p.tags[0]` must be 1 to 64 letters, digits, `_`, `.` and `-`, a letter or digit first",
    ),
    "an unknown strategy": (
        PROVIDERS + "routing: {strategy: fastest}\n",
        "2:21: `routing.strategy` must be weighted, round-robin, least-latency, least-cost, sticky, manual or health-based",
    ),
    "a default price that is not there": (
        PROVIDERS + "processing: {costs: {unknown_model: price}}\n",
        "2:21: `processing.costs`: `unknown_model` is `price`, which needs a `default_price`",
    ),
    "a default price of nothing": (
        PROVIDERS + "processing: {costs: {unknown_model: price, default_price: {input: 0, output: 0}}}\n",
        "2:21: `processing.costs`: a `default_price` of nothing is what `unknown_model: free` says",
    ),
    "half a default price": (
        PROVIDERS + "processing: {costs: {default_price: {input: 1}}}\n",
        "2:21: `processing.costs`: the price of `default_price` needs `input` and `output`",
    ),
    "no archive": (
        PROVIDERS + "evidence: {archive_url: 's3://bucket?days=1'}\n",
        "2:25: `evidence.archive_url`: an archive has no `days`: endpoint, region, retention and mode",
    ),
    "one port for both": (
        PROVIDERS + "proxy: {admin_address: 127.0.0.1:8080}\n",
        "2:24: the admin port must not be the proxy's own",
    ),
}

LATER_KEYS = {
    "policy: {mode: git}": "`policy.mode`: policies from git are not available in this version",
    "policy: {watch: true}": "`policy.watch`: reloading policies is not available in this version",
    "processing: {content: {pii: {}}}": "`processing.content`: content detectors are not available in this version",
    "identity: {anonymous: allow}": "`identity.anonymous`: callers without a key are not available in this version",
    "telemetry: {tracing: {enabled: true}}": "`telemetry.tracing.enabled`: tracing is not available in this version",
    "security: {tls: {enabled: true}}": "`security.tls.enabled`: TLS on the listener is not available in this version",
    "security: {mtls: {enabled: true}}": "`security.mtls.enabled`: mTLS on the listener is not available in this version",
}


@pytest.fixture
def refused(tmp_path):
    """Return the problems of a text, without the file's name."""

    def problems(text: str, environ: dict[str, str] | None = None) -> list[str]:
        path = tmp_path / "j.yaml"
        path.write_text(text)
        with pytest.raises(ConfigError) as caught:
            load(path, environ or {})
        return [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems]

    return problems


@pytest.mark.parametrize(("text", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_configuration_is_refused_at_its_place(text, message, refused):
    assert refused(text) == [message]


@pytest.mark.parametrize(("text", "message"), LATER_KEYS.items(), ids=LATER_KEYS.keys())
def test_what_is_not_there_yet_is_refused_and_never_ignored(text, message, refused):
    (problem,) = refused(PROVIDERS + text + "\n")
    assert problem.startswith("2:")
    assert problem.partition(": ")[2] == message


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(refused):
    text = """\
        proxi: {}
        proxy:
          listen_address: nowhere
          limits: {body: 10MB, boddy: 3}
        providers:
          p:
            type: rehersal
            api_key: ${UNSET_KEY}
            models: []
        limits: {default: {requests_per_minute: 0}}
        """
    found = refused(textwrap.dedent(text), {"JUPITER_ROUTNG__STRATEGY": "weighted"})
    assert found == [
        "1:1: unknown key `proxi`; hint: did you mean `proxy`?",
        "3:19: `proxy.listen_address`: an address is written like 127.0.0.1:8080 or [::1]:8080",
        "4:18: `proxy.limits.body`: a size is written like 64KiB or 10MiB",
        "4:24: unknown key `proxy.limits.boddy`; hint: did you mean `body`?",
        "7:5: `providers.p.base_url` is required",
        "7:11: `providers.p.type` must be openai, anthropic, ollama, "
        "openai-compatible, azure-openai or rehearsal; hint: did you mean `rehearsal`?",
        "8:14: the environment variable `UNSET_KEY` is not set",
        "9:13: `providers.p.models` must not be empty",
        "10:41: `limits.default.requests_per_minute` must be at least 1",
        "environment variable JUPITER_ROUTNG__STRATEGY: unknown key `routng`; hint: did you mean `routing`?",
    ]


def test_an_unknown_key_hides_nothing_else(refused):
    text = (
        PROVIDERS
        + "unknown_model: free\nproxy: {workers: 2, workrs: 3}\nintercept: {hosts: {api.openai.com: nobody}}\n"
        + "limits: {storage: {url: 'memory:'}}\n"
    )
    found = refused(text)
    assert [problem.partition(": ")[0] for problem in found] == ["2:1", "3:21", "4:37", "5:25"]
    assert "unknown key `unknown_model`" in found[0]
    assert "unknown key `proxy.workrs`" in found[1]
    assert "`nobody` is not one of the providers" in found[2]
    assert "each worker would count the limits" in found[3]


def test_no_problem_repeats_a_key(refused):
    entry = "{type: openai, base_url: https://h, models: [m], api_key: 'a secret key'}"
    assert "secret" not in "".join(refused(f"providers: {{p: {entry}}}\n"))
