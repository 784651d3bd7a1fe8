"""What a leaf says of a log that was given up is read back as it was written."""

import dataclasses

import pytest

from jupiter_addons.evidence.record import control
from jupiter_addons.evidence.recovery import UNKNOWN, GivenUp, given_up, read

ONE = GivenUp("jupiter/1", 7, 9, "it has been cut", "evidence.db.set-aside-20260101T000000Z", "ab" * 32, 5)


def test_a_leaf_says_what_was_given_up():
    assert read(given_up(ONE, "hmac:somebody")) == ONE
    assert given_up(ONE, "hmac:somebody")["detail"]["by"] == "hmac:somebody"
    assert str(ONE).startswith(
        "`jupiter/1` was given up and is kept as `evidence.db.set-aside-20260101T000000Z`: 7 leaves"
    )


def test_what_nobody_could_say_is_said_so():
    blank = dataclasses.replace(ONE, log="", size=UNKNOWN, known=UNKNOWN)
    assert read(given_up(blank, "")) == blank
    assert "none of its leaves could be read, nobody remembered it" in str(blank)


def test_a_writer_that_recovered_by_itself_gave_nothing_up():
    assert read(control("recover", boot="b", known=3)) is None
    with pytest.raises(LookupError):
        read(control("recover", log="x"))
