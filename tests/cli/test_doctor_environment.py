"""What the doctor sees of an environment and of our files."""

import datetime
import os
from pathlib import Path

import pytest

from jupiter_addons.cli import doctor_environment as environment
from jupiter_addons.host import certificates

HERE = ("127.0.0.1", 8080)
PROXY = "http://jupiter:jup_abc@127.0.0.1:8080"
NOW = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)


def levels(findings) -> dict[str, str]:
    return {finding.name: finding.level for finding in findings}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, {"HTTPS_PROXY": "warn"}),
        ({"HTTPS_PROXY": PROXY, "https_proxy": PROXY}, {"HTTPS_PROXY": "ok"}),
        ({"HTTPS_PROXY": PROXY}, {"HTTPS_PROXY": "ok", "https_proxy": "warn"}),
        ({"ALL_PROXY": PROXY}, {"HTTPS_PROXY": "ok", "ALL_PROXY": "warn"}),
        ({"HTTPS_PROXY": PROXY, "https_proxy": "http://other:3128"}, {"HTTPS_PROXY": "ok", "https_proxy": "fail"}),
        ({"HTTPS_PROXY": "http://other:3128", "https_proxy": "http://other:3128"}, {"HTTPS_PROXY": "fail"}),
        ({"HTTPS_PROXY": "http://127.0.0.1:8080", "https_proxy": "http://127.0.0.1:8080"}, {"HTTPS_PROXY": "fail"}),
    ],
)
def test_where_programs_are_led(environ, expected):
    assert levels(environment.proxies(environ, HERE)) == expected


def test_a_key_is_never_shown():
    for proxy in (PROXY, PROXY.replace("8080", "1"), "jupiter:jup_abc@127.0.0.1:8080"):
        said = repr(list(environment.proxies({"HTTPS_PROXY": proxy}, HERE)))
        assert "jup_abc" not in said


@pytest.mark.parametrize(
    ("proxy", "here", "does"),
    [
        ("http://127.0.0.1:8080", HERE, True),
        ("http://localhost:8080", HERE, True),
        ("127.0.0.1:8080", HERE, True),
        ("http://[::1]:8080", HERE, True),
        ("http://gw.test:8080", ("0.0.0.0", 8080), True),
        ("http://127.0.0.1:8081", HERE, False),
        ("https://127.0.0.1:8080", HERE, False),
        ("http://gw.test:8080", HERE, False),
        ("http://127.0.0.1:notaport", HERE, False),
        ("http://[", HERE, False),
    ],
)
def test_whether_a_proxy_is_this_gateway(proxy, here, does):
    assert environment.points_to(proxy, here) is does


@pytest.mark.parametrize(
    ("exceptions", "exempt"),
    [
        ("", False),
        ("localhost,127.0.0.1", False),
        ("*", True),
        ("api.openai.com", True),
        ("openai.com", True),
        (".openai.com", True),
        ("*.openai.com", True),
        ("OpenAI.com:443, x", True),
        ("x api.openai.com", True),
        ("notopenai.com", False),
        ("penai.com", False),
        (",,", False),
    ],
)
def test_which_hosts_no_proxy_exempts(exceptions, exempt):
    assert environment.is_exempt("api.openai.com", exceptions) is exempt


def test_exceptions_are_looked_at_in_both_spellings():
    environ = {"NO_PROXY": "localhost", "no_proxy": ".com"}
    assert levels(environment.exceptions(environ, ["api.openai.com"])) == {"NO_PROXY": "ok", "no_proxy": "fail"}


def test_a_good_authority_is_private_and_valid_for_long(tmp_path: Path):
    certificates.ensure(tmp_path, NOW)
    assert levels(environment.authority(tmp_path, NOW)) == {"authority": "ok", "authority's key": "ok"}
    years = datetime.timedelta(days=3640)
    assert levels(environment.authority(tmp_path, NOW + years))["authority"] == "warn"
    assert levels(environment.authority(tmp_path, NOW + 2 * years))["authority"] == "fail"
    assert levels(environment.authority(tmp_path, NOW - years))["authority"] == "fail"


@pytest.mark.skipif(os.name == "nt", reason="there are no such modes")
def test_an_authority_whose_key_others_can_read_has_failed(tmp_path: Path):
    certificates.ensure(tmp_path, NOW)
    (tmp_path / certificates.KEY_FILE).chmod(0o640)
    assert levels(environment.authority(tmp_path, NOW))["authority's key"] == "fail"


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_an_authority_that_is_not_there_or_none_has_failed(content, tmp_path: Path):
    if content is not None:
        (tmp_path / certificates.CERTIFICATE_FILE).write_bytes(content)
    assert levels(environment.authority(tmp_path, NOW)) == {"authority": "fail"}


def test_each_program_is_told_of_the_authority_by_a_variable_of_its_own(tmp_path: Path):
    certificate = certificates.ensure(tmp_path, NOW)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificates.with_public(certificate.read_bytes().replace(b"\n", b"\r\n")))
    other = certificates.ensure(tmp_path / "other", NOW)
    environ = {
        "SSL_CERT_FILE": str(bundle),
        "REQUESTS_CA_BUNDLE": str(other),
        "CURL_CA_BUNDLE": str(tmp_path / "gone.pem"),
    }
    assert levels(environment.trust(environ, certificate)) == {
        "SSL_CERT_FILE": "ok",
        "REQUESTS_CA_BUNDLE": "fail",
        "CURL_CA_BUNDLE": "fail",
        "NODE_EXTRA_CA_CERTS": "warn",
    }
    assert list(environment.trust(environ, tmp_path / "none.pem")) == []


@pytest.mark.parametrize(
    ("version", "environ", "expected"),
    [
        (None, {}, None),
        ("v20.20.2", {"NODE_USE_ENV_PROXY": "1"}, "warn"),
        ("v22.20.0", {"NODE_USE_ENV_PROXY": "1"}, "warn"),
        ("v22.21.0", {"NODE_USE_ENV_PROXY": "1"}, "ok"),
        ("v23.11.0", {"NODE_USE_ENV_PROXY": "1"}, "warn"),
        ("v24.0.0", {}, "warn"),
        ("v26.1.0", {"NODE_USE_ENV_PROXY": "1"}, "ok"),
        ("something else", {}, None),
    ],
)
def test_which_versions_of_node_heed_a_proxy(version, environ, expected):
    assert levels(environment.node(version, environ)).get("Node") == expected
