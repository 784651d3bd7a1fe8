"""Files by value."""

import pytest

from jupiter_addons.dialects.translation import data_urls
from jupiter_addons.errors import RequestError


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,AAAA", "https://example.com/a.png", "data:a/b;charset=x;base64,"]
)
def test_a_url_is_written_as_it_was_read(url):
    assert data_urls.render(*data_urls.parse(url)) == url


@pytest.mark.parametrize("url", ["data:,plain", "data:image/png,x", "data:;base64,AAAA", "data:image/png;base64"])
def test_what_is_not_base64_of_a_known_type_is_refused(url):
    with pytest.raises(RequestError) as caught:
        data_urls.parse(url, "content[0]")
    assert caught.value.refusal.param == "content[0]"
