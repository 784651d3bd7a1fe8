"""The schema as documentation."""

import pytest
from pydantic import ValidationError

from jupiter_addons.settings.schema import Settings

SCHEMA = Settings.model_json_schema()
SECTIONS = {"Settings": SCHEMA, **{name: s for name, s in SCHEMA["$defs"].items() if "properties" in s}}
KEYS = [(section, key) for section, schema in SECTIONS.items() for key in schema["properties"]]
LIMITS = ("RequestLimit", "RunningLimit", "TokenLimit", "MoneyLimit", "TokenTotal", "MoneyTotal")
REQUIRED = {
    ("Settings", "providers"),
    ("Provider", "type"),
    ("Timestamps", "url"),
    ("Timestamps", "ca_file"),
    ("Provider", "base_url"),
    ("Provider", "models"),
    ("LegalHold", "reason"),
    ("Witness", "key"),
    ("Witness", "url"),
    *((section, "limit") for section in LIMITS),
}


@pytest.mark.parametrize(("section", "key"), KEYS, ids=[".".join(pair) for pair in KEYS])
def test_every_key_says_what_it_means_and_what_it_is_if_left_out(section, key):
    entry = SECTIONS[section]["properties"][key]
    section_of = SECTIONS.get(entry.get("$ref", "").rpartition("/")[2], {})  # pydantic leaves out what the section says
    assert (entry.get("description") or section_of.get("description", "")).endswith(".")
    required = key in SECTIONS[section].get("required", ())
    assert required == ((section, key) in REQUIRED)


def test_no_section_takes_unknown_keys():
    assert all(schema["additionalProperties"] is False for schema in SECTIONS.values())


def test_defaults_in_the_schema_are_written_as_in_a_file():
    proxy = SECTIONS["Proxy"]["properties"]
    assert proxy["listen_address"]["default"] == "127.0.0.1:8080"
    assert proxy["admin_address"]["default"] == "127.0.0.1:9090"


def a_settings():
    return Settings.model_validate(
        {"providers": {"p": {"type": "openai", "base_url": "https://h/v1", "models": ["m"]}}}
    )


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        a_settings().environment = "other"


def test_what_is_shown_can_be_read_again():
    settings = a_settings()
    shown = settings.model_dump(mode="json", by_alias=True)
    assert Settings.model_validate(shown) == settings
