"""A URL says where a server is, and prints no secret."""

import pytest

from jupiter_addons.addresses import RedisAddress, redis_address


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://h", RedisAddress("h", 6379, 0, None, None, is_tls=False)),
        ("redis://h:7/3", RedisAddress("h", 7, 3, None, None, is_tls=False)),
        ("rediss://u:p%40ss@h:7", RedisAddress("h", 7, 0, "u", "p@ss", is_tls=True)),
        ("redis://:secret@[::1]:7/0", RedisAddress("::1", 7, 0, None, "secret", is_tls=False)),
    ],
)
def test_a_url_says_where_a_server_is(url: str, wanted: RedisAddress):
    assert redis_address(url) == wanted


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://h",
        "redis://",
        "redis://h:x",
        "redis://u:secret@h:99999",
        "redis://h/x",
        "redis://h?a=b",
        "redis://h/-1",
    ],
)
def test_a_url_that_says_no_such_thing_is_refused_without_its_secrets(url: str):
    with pytest.raises(ValueError, match="redis://host") as caught:
        redis_address(url)
    assert "secret" not in str(caught.value)


def test_no_secret_is_printed():
    assert "secret" not in f"{redis_address('redis://me:secret@h')!r} {redis_address('redis://me:secret@h')}"
