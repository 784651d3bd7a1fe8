"""The configurations we ship."""

from pathlib import Path

import pytest
import yaml

from jupiter_addons.settings.load import load
from jupiter_addons.settings.schema import Settings

CONFIG = Path(__file__).parents[2] / "config"
IN_MAPS = {"ModelRouting", "PrincipalEntry", "Rates", "RequestLimit", "TokenLimit"}
"""Entries of maps that are empty by default, and limits, which are many: shown in a comment."""


@pytest.fixture
def environ(tmp_path):
    for name in ("openai", "anthropic"):
        (tmp_path / name).write_text("text\n")
        (tmp_path / name).chmod(0o600)
    return {"OPENAI_API_KEY": "text", "JUPITER_SECRETS_DIR": str(tmp_path)}


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_every_configuration_loads_without_notes(path, environ):
    assert load(path, environ).notes == ()


def test_the_reference_is_exactly_the_defaults(environ):
    settings = load(CONFIG / "jupiter.yaml", environ)
    shown = settings.model_dump(include=set(Settings.model_fields))
    provider = {name: shown["providers"]["openai"][name] for name in ("type", "base_url", "api_key", "models")}
    assert shown == Settings(providers={"openai": provider}).model_dump()


def test_the_reference_writes_down_every_key():
    text = (CONFIG / "jupiter.yaml").read_text()
    written = yaml.safe_load(text)
    schema = Settings.model_json_schema()

    def missing(entry, value, path):
        if entry.get("$ref", "").rpartition("/")[2] in IN_MAPS:
            return
        entry = schema["$defs"][entry["$ref"].rpartition("/")[2]] if "$ref" in entry else entry
        for key, below in entry.get("properties", {}).items():
            if key not in value:
                yield f"{path}{key}"
            elif isinstance(value[key], dict):
                yield from missing(below, value[key], f"{path}{key}.")

    assert list(missing(schema, written, "")) == []
    provider = schema["$defs"]["Provider"]["properties"]
    assert list(written["providers"]["openai"]) == list(provider)
    for section in IN_MAPS:
        assert [key for key in schema["$defs"][section]["properties"] if f"{key}:" not in text] == []


def test_every_line_of_the_reference_that_sets_something_explains_it_or_its_section():
    lines = (CONFIG / "jupiter.yaml").read_text().splitlines()
    told = [line for line in lines if ": " in line and not line.startswith("#")]
    bare = {line.strip() for line in told if "#" not in line}
    assert bare == {
        "base_url: https://api.openai.com/v1",
    }
