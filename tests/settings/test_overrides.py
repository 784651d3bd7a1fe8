"""Environment variables over the file."""

import pytest

from jupiter_addons.documents import read
from jupiter_addons.errors import ConfigError
from jupiter_addons.settings.load import load
from jupiter_addons.settings.overrides import override

MINIMAL = "providers:\n  p: {type: rehearsal, base_url: http://127.0.0.1:1/v1, models: [m]}\n"

CASES = {
    "over the file": ("JUPITER_A__B", "2", {"a": {"b": 2, "c": 1}}),
    "a new key": ("JUPITER_A__D", "2", {"a": {"b": 1, "c": 1, "d": 2}}),
    "a new section": ("JUPITER_E__F__G", "x", {"a": {"b": 1, "c": 1}, "e": {"f": {"g": "x"}}}),
    "single underscores stay": ("JUPITER_MAX_IN_FLIGHT", "3", {"a": {"b": 1, "c": 1}, "max_in_flight": 3}),
    "true": ("JUPITER_A", "true", {"a": True}),
    "no is text": ("JUPITER_A", "no", {"a": "no"}),
    "null": ("JUPITER_A", "null", {"a": None}),
    "empty is empty text": ("JUPITER_A", "", {"a": ""}),
    "quoted number is text": ("JUPITER_A", '"12"', {"a": "12"}),
    "address": ("JUPITER_A", "127.0.0.1:9000", {"a": "127.0.0.1:9000"}),
    "list": ("JUPITER_A", "[x, y]", {"a": ["x", "y"]}),
    "mapping": ("JUPITER_A", "{x.y: z}", {"a": {"x.y": "z"}}),
    "empty mapping": ("JUPITER_A", "{}", {"a": {}}),
}


def loaded(tmp_path, environ, text=MINIMAL):
    path = tmp_path / "j.yaml"
    path.write_text(text)
    return load(path, environ)


def refused(tmp_path, environ):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, environ)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(("name", "text", "expected"), CASES.values(), ids=CASES.keys())
def test_a_variable_is_put_over_the_document(name, text, expected):
    root = read("f", b"a: {b: 1, c: 1}\n")
    assert override(root, {name: text, "PATH": "/", "OTHER_A__B": "5"}) == []
    assert root.plain() == expected


def test_a_variable_overrides_any_key(tmp_path):
    environ = {
        "JUPITER_PROXY__LISTEN_ADDRESS": "127.0.0.1:9000",
        "JUPITER_PROXY__LIMITS__BODY": "1MiB",
        "JUPITER_PROVIDERS__P__API_KEY": "from-outside",
        "JUPITER_LIMITS__DEFAULT__REQUESTS_PER_MINUTE": "7",
        "JUPITER_INTERCEPT__HOSTS": "{h.example: p}",
        "JUPITER_TELEMETRY__METRICS__ENABLED": "false",
    }
    settings = loaded(tmp_path, environ)
    assert settings.proxy.listen_address == ("127.0.0.1", 9000)
    assert settings.proxy.limits.body == 1024**2
    assert settings.providers["p"].api_key.get_secret_value() == "from-outside"
    assert settings.limits.default.requests_per_minute.limit == 7
    assert settings.intercept.hosts == {"h.example": "p"}
    assert settings.telemetry.metrics.enabled is False


def test_what_is_overridden_need_not_be_there(tmp_path):
    text = MINIMAL.replace("models: [m]", "models: [m], api_key: '${UNSET}'")
    settings = loaded(tmp_path, {"JUPITER_PROVIDERS__P__API_KEY": "from-outside"}, text)
    assert settings.providers["p"].api_key.get_secret_value() == "from-outside"


def test_a_value_may_hold_references(tmp_path):
    settings = loaded(tmp_path, {"JUPITER_PROVIDERS__P__API_KEY": "${OTHER}", "OTHER": "x"})
    assert settings.providers["p"].api_key.get_secret_value() == "x"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("JUPITER_PROXI__WORKERS", "unknown key `proxi`; hint: did you mean `proxy`?"),
        ("JUPITER_PROXY__WORKER", "unknown key `proxy.worker`; hint: did you mean `workers`?"),
        ("JUPITER_LISTEN_ADDRESS", "unknown key `listen_address`; hint: did you mean `proxy.listen_address`?"),
    ],
)
def test_a_variable_that_is_no_key_is_a_problem(name, problem, tmp_path):
    assert refused(tmp_path, {name: "1"}) == [f"environment variable {name}: {problem}"]


def test_a_variable_with_a_bad_value_is_named(tmp_path):
    assert refused(tmp_path, {"JUPITER_PROXY__LIMITS__BODY": "10MB"}) == [
        "environment variable JUPITER_PROXY__LIMITS__BODY: `proxy.limits.body`: a size is written like 64KiB or 10MiB"
    ]


@pytest.mark.parametrize("value", ["*hidden", "!hidden", "[hidden", "#hidden", "@hidden", "a: hidden: b"])
def test_a_value_that_is_no_yaml_is_refused_and_not_repeated(value, tmp_path):
    assert refused(tmp_path, {"JUPITER_PROVIDERS__P__API_KEY": value}) == [
        "environment variable JUPITER_PROVIDERS__P__API_KEY: the value is not valid YAML; "
        "hint: put quotes around it, inside the variable"
    ]


@pytest.mark.parametrize("name", ["JUPITER_CONFIG", "JUPITER_SECRETS_DIR", "JUPITER_KEY", "JUPITER_REQUIRE_ALL"])
def test_a_control_variable_is_no_key(name, tmp_path):
    assert loaded(tmp_path, {name: "x"}).environment == "production"


@pytest.mark.parametrize(
    "name",
    [
        "JUPITER_SERVICE_HOST",
        "JUPITER_SERVICE_PORT",
        "JUPITER_SERVICE_PORT_HTTP",
        "JUPITER_PORT",
        "JUPITER_PORT_8080_TCP",
        "JUPITER_PORT_8080_TCP_ADDR",
    ],
)
def test_what_kubernetes_sets_beside_a_service_of_our_name_is_no_key(name, tmp_path):
    assert loaded(tmp_path, {name: "tcp://10.0.0.1:8080"}).environment == "production"
