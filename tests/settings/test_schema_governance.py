"""The keys of what is decided and kept."""

import pytest
from pydantic import ValidationError

from jupiter_addons.evidence.cosignature import Cosigner
from jupiter_addons.evidence.signing import from_seed
from jupiter_addons.settings.schema_governance import Costs, Evidence


@pytest.mark.parametrize("amount", [0, 1, 0.15, "0.15", "1e-3", 1_000_000])
def test_a_price_is_a_number_of_dollars(amount):
    price = {"input": amount, "output": amount, "cache_read": amount, "cache_write": amount}
    assert Costs(overrides={"m": price}).overrides == {"m": price}


@pytest.mark.parametrize(
    "amount", [-1, "-0.1", "nan", "inf", "", "free", float("nan"), float("inf"), 1_000_001, None, [1]]
)
def test_a_price_that_is_none_is_refused(amount):
    with pytest.raises(ValidationError):
        Costs(overrides={"m": {"input": 1, "output": amount}})


@pytest.mark.parametrize("price", [{}, {"input": 1}, {"output": 1}, {"input": 1, "output": 1, "image": 1}])
def test_a_price_needs_input_and_output_and_knows_nothing_else(price):
    with pytest.raises(ValidationError):
        Costs(overrides={"m": price})


W1, W2 = (str(Cosigner(from_seed(name, b"\x01" * 32).public)) for name in ("witness.example/w1", "w2"))


def test_witnesses_are_named_by_key_and_address():
    entries = [{"key": W1, "url": "https://witness.example/prefix"}, {"key": W2, "url": "http://127.0.0.1:8077"}]
    assert [one.key for one in Evidence(witnesses=entries).witnesses] == [W1, W2]
    assert Evidence().witnesses == []


def test_a_time_stamping_authority_is_named_by_address_and_who_vouches_for_it():
    found = Evidence(timestamps={"url": "http://tsa.example/tsr", "ca_file": "tsa.pem"}).timestamps
    assert (found.url, str(found.ca_file), found.every) == ("http://tsa.example/tsr", "tsa.pem", 600)
    assert Evidence().timestamps is None


@pytest.mark.parametrize(
    "change", [{"ca_file": None}, {"url": "tsa.example"}, {"url": "https://h/?a=b"}, {"every": "0s"}, {"policy": "1.2"}]
)
def test_what_is_no_time_stamping_authority_is_refused(change):
    with pytest.raises(ValidationError):
        Evidence(timestamps={"url": "https://h", "ca_file": "tsa.pem", **change})


@pytest.mark.parametrize(
    ("key", "url"),
    [
        (str(from_seed("w2", b"\x01" * 32).public), "https://h"),
        ("w2", "https://h"),
        (W2, "h:8077"),
        (W2, "ftp://h"),
        (W2, "https://user:secret@h"),
        (W2, "https://h/?a=b"),
        (W2, "https://h:0"),
        (W2, "https://h:nonsense"),
        (W1, "https://h"),
    ],
)
def test_what_is_no_witness_is_refused(key, url):
    with pytest.raises(ValidationError):
        Evidence(witnesses=[{"key": W1, "url": "https://h"}, {"key": key, "url": url}])
