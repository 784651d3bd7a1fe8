"""What is kept of an answer is bounded; what is counted is not."""

from dataclasses import replace

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
