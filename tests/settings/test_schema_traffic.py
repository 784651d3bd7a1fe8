"""The keys of the doors and of providers."""

import json

import pytest
from pydantic import ValidationError

from jupiter_addons.settings.schema import Settings
from jupiter_addons.settings.schema_traffic import Provider


def a_settings(**provider):
    entry = {"type": "openai", "base_url": "https://h/v1", "models": ["m"], **provider}
    return Settings.model_validate({"providers": {"p": entry}})


def test_keys_and_headers_of_providers_are_never_shown():
    settings = a_settings(api_key="hidden-key", headers={"X-Token": "hidden-token"})
    for shown in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        json.dumps(settings.model_dump(mode="json")),
    ):
        assert "hidden" not in shown
    assert "X-Token" in settings.model_dump_json()


def a_provider(**given):
    return Provider.model_validate({"type": "openai", "base_url": "https://h/v1", "models": ["m"], **given})


@pytest.mark.parametrize("name", ["X-A", "openai-organization", "x_a.b", "!#$%&'*+.^_`|~-"])
@pytest.mark.parametrize("value", ["a", "a b", "~", "Bearer x=="])
def test_a_header_that_can_be_sent_is_taken(name, value):
    assert a_provider(headers={name: value}).headers == {name: value}


@pytest.mark.parametrize("name", ["", "a b", "a:", "ä", "a\r\n", "Host", "TRANSFER-ENCODING", "connection", "te"])
def test_a_header_that_cannot_be_sent_is_refused(name):
    with pytest.raises(ValidationError):
        a_provider(headers={name: "a"})


@pytest.mark.parametrize("value", ["", " a", "a ", "a\n", "a\r\nb", "\0", "ä", "a\tb"])
def test_a_header_value_that_cannot_be_sent_is_refused(value):
    with pytest.raises(ValidationError):
        a_provider(headers={"X-A": value})


@pytest.mark.parametrize("key", ["", " ", "a b", "a\n", "ä", "\x7f"])
def test_a_key_that_cannot_be_sent_is_refused(key):
    with pytest.raises(ValidationError):
        a_provider(api_key=key)
