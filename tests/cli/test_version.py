"""`jupiter version`."""

import platform
from importlib.metadata import version

from click.testing import CliRunner

from jupiter_addons.cli.main import cli


def test_the_versions_that_a_report_needs_are_printed():
    result = CliRunner().invoke(cli, ["version"])
    assert result.exit_code == 0
    assert version("mercator-jupiter") in result.stdout
    assert version("mitmproxy") in result.stdout
    assert platform.python_version() in result.stdout
