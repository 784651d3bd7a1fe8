"""What is kept of an answer is bounded; what is counted is not."""

from jupiter_addons.dialects.fields import MAX_KEPT_CHARS
from jupiter_addons.dialects.replies import Text, tokens


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
