"""What is kept of an answer is bounded; what is counted is not."""

from dataclasses import replace

import pytest

from jupiter_addons.dialects.call import Reply, Usage
from jupiter_addons.dialects.fields import MAX_KEPT_CHARS
from jupiter_addons.dialects.replies import Text, tokens, told


def test_text_is_kept_up_to_a_bound_and_counted_beyond_it():
    text = Text()
    for _ in range(40):
        text.add("é" * 65536)
    assert MAX_KEPT_CHARS <= len(str(text)) < MAX_KEPT_CHARS + 65536
    assert text.length_bytes == 40 * 65536 * 2


def test_what_is_not_text_is_ignored():
    text = Text()
    for part in (None, 1, ["x"], {"a": 1}, ""):
        text.add(part)
    assert (str(text), text.length_bytes) == ("", 0)


def test_only_sane_counts_are_believed():
    given = {"a": 5, "b": -1, "c": "5", "d": True, "e": 10**10, "f": 2.0}
    assert [tokens(given, name) for name in "abcdefg"] == [5, None, None, None, None, None, None]


def test_a_translated_answer_says_what_the_client_gets_and_counts_what_the_provider_did():
    said = Reply(response_id="made", text="a", text_bytes=1, finish_reasons=("stop",), complete=True)
    counted = Reply(model="m", text_bytes=5, finish_reasons=("end_turn",), usage=Usage(3, 4), complete=True)
    assert told(said, counted) == Reply("made", "m", "a", 1, (), ("stop",), Usage(3, 4), complete=True)
    assert not told(said, replace(counted, complete=False)).complete
    assert told(said, replace(counted, error="overloaded_error")).error == "overloaded_error"


@pytest.mark.parametrize(
    ("deltas", "tokens"),
    [
        ([], 0),
        (["word"], 1),
        (["a whole answer of forty ASCII characters."], 11),
        (["one ", "two ", "six "], 3),
        ([" international"] * 3, 11),
        ([" word"] * 100, 100),
        ([" several tokens in each delta"] * 100, 725),
        (["\u6f22\u5b57"], 2),
        (["\u6f22"] * 50, 50),
        (["\u043f\u0440\u0438\u0432\u0435\u0442 "], 4),
        ([None, 3, ""], 0),
    ],
)
def test_our_own_count_is_by_deltas_as_short_as_tokens_and_by_the_text_otherwise(deltas, tokens):
    text = Text(keep=False)
    for delta in deltas:
        text.add(delta)
    assert text.tokens == tokens
