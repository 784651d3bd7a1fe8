"""What a leaf says of a log that was given up is read back as it was written."""

import dataclasses

import pytest

from jupiter_addons.evidence.record import control
from jupiter_addons.evidence.recovery import UNKNOWN, GivenUp, Known, given_up, read

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


def test_what_others_know_of_a_log_whose_name_cannot_be_read_is_given_up_with_it():
    known = (Known("jupiter/1", 7, "ab" * 32), Known("jupiter/2", 1, "cd" * 32))
    lost = dataclasses.replace(ONE, log="", size=UNKNOWN, known=UNKNOWN, elsewhere=known)
    assert read(given_up(lost, "")) == lost
    assert lost.logs == ("", "jupiter/1", "jupiter/2")
    assert "elsewhere is known `jupiter/1` of 7 leaves, `jupiter/2` of 1 leaf: it has" in str(lost)


def test_a_writer_that_recovered_by_itself_gave_nothing_up():
    assert read(control("recover", boot="b", known=3)) is None
    with pytest.raises(LookupError):
        read(control("recover", log="x"))
