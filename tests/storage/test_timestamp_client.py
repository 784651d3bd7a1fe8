"""Asking an authority over HTTP."""

import pytest
from support.authority import serving

from jupiter_addons.errors import StoreError
from jupiter_addons.storage.timestamp_client import MAX_BYTES, TimestampClient


def test_a_query_is_sent_as_one_and_the_answer_comes_back_as_it_is():
    asked: list[bytes] = []

    def answer(query: bytes) -> tuple[int, bytes]:
        asked.append(query)
        return 200, b"\x30\x00"

    with serving(answer) as url:
        assert TimestampClient(url).ask(b"\x30\x01\x00") == b"\x30\x00"
    assert asked == [b"\x30\x01\x00"]


@pytest.mark.parametrize(
    ("answer", "said"), [((503, b"busy"), "answers 503"), ((200, b"x" * (MAX_BYTES + 1)), "more than 65536 bytes")]
)
def test_what_is_no_answer_is_a_fault_that_names_the_authority(answer, said):
    with serving(lambda _: answer) as url, pytest.raises(StoreError, match=f"the timestamp authority at .*{said}"):
        TimestampClient(url).ask(b"")


def test_one_that_is_not_there_is_a_fault():
    with pytest.raises(StoreError, match="gives no answer"):
        TimestampClient("http://127.0.0.1:9").ask(b"")
