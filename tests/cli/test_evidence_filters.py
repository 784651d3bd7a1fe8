"""What the options for choosing calls mean."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.evidence import install

from jupiter_addons.cli.evidence_filters import filter_options, wanted
from jupiter_addons.cli.options import configuration
from jupiter_addons.evidence.query import Filter
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.storage import signing_keys

NOW_S = 1_000_000.5


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return configuration(Path(install(tmp_path_factory.mktemp("installation"))))


def asked(settings, *arguments: str) -> Filter:
    found: list[Filter] = []

    @click.command()
    @filter_options
    def command(**given):
        found.append(wanted(settings, given, NOW_S))
        assert not given

    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2026-01-31", 1769817600_000000),
        ("2026-01-31T12:00:00", 1769860800_000000),
        ("2026-01-31T12:00:00+02:00", 1769853600_000000),
        ("24h", 1_000_000_500_000 - 86400_000000),
        ("1w", 1_000_000_500_000 - 604800_000000),
    ],
)
def test_times_are_utc_or_so_long_ago(settings, text, us):
    assert asked(settings, "--since", text, "--until", text) == Filter(since_us=us, until_us=us)


def test_money_is_exact(settings):
    assert asked(settings, "--min-cost", "0.000000001", "--max-cost", "12.10") == Filter(
        min_cost_nusd=1, max_cost_nusd=12_100_000_000
    )


def test_a_name_becomes_the_pseudonym_that_leaves_have(settings):
    key = signing_keys.pseudonym_key(settings.signing_dir)
    assert asked(settings, "--user", "alice").user == pseudonym(key, "alice")


def test_every_part_of_a_filter_can_be_asked_for(settings):
    texts = ("id", "team", "model", "provider", "status", "rule", "policy", "fired", "tag", "code")
    arguments = [part for name in texts for part in (f"--{name}", name)]
    arguments += ["--verdict", "deny", "--door", "intercept", "--endpoint", "/x", "--attempts", "2"]
    arguments += ["--min-cost", "0", "--max-cost", "0", "--min-tokens", "1", "--max-tokens", "2"]
    arguments += ["--since", "1d", "--until", "1d", "--user", "hmac:1"]
    assert asked(settings, *arguments).given().keys() == set(Filter.__dataclass_fields__)
