"""A URL says where a server is, and prints no secret."""

import pytest

from jupiter_addons.addresses import ArchiveAddress, RedisAddress, archive_address, redis_address


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


def test_an_archive_is_a_bucket_and_what_holds_for_all_that_is_put_there():
    found = archive_address(
        "s3://b/some/prefix/?endpoint=http://127.0.0.1:9000&region=eu-1&retention=30d&mode=governance"
    )
    assert found == ArchiveAddress("b", "some/prefix", "http://127.0.0.1:9000", "eu-1", 30, "GOVERNANCE")
    assert archive_address("s3://b") == ArchiveAddress("b", "", None, None, 180, "COMPLIANCE")


@pytest.mark.parametrize(
    "url",
    ["s3://", "http://b/p", "s3://b?retention=0d", "s3://b?retention=30", "s3://b?mode=x", "s3://b?days=3", "s3://b#x"],
)
def test_what_says_no_archive_is_refused(url: str):
    with pytest.raises(ValueError, match="archive"):
        archive_address(url)
