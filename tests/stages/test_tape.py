"""What passes is hashed whole and kept whole, or not kept."""

import hashlib

import pytest

from jupiter_addons.stages.tape import Tape

TEXT = b"the whole of what passes"


@pytest.mark.parametrize("step", [1, 5, len(TEXT)])
@pytest.mark.parametrize("keep", [0, len(TEXT) - 1, len(TEXT), 1000])
def test_what_passes_is_hashed_whatever_its_pieces_and_kept_whole_or_not_at_all(step, keep):
    tape = Tape(keep)
    for at in range(0, len(TEXT), step):
        tape.add(TEXT[at : at + step])
    digest = tape.digest()
    assert (digest.sha256, digest.length) == (hashlib.sha256(TEXT).hexdigest(), len(TEXT))
    assert digest.body == (TEXT if keep >= len(TEXT) else None)


def test_what_would_follow_is_taken_into_account_and_has_not_passed():
    tape = Tape(100)
    tape.add(b"ab")
    assert tape.digest(b"cd").body == b"abcd"
    assert tape.digest(b"cd").sha256 == hashlib.sha256(b"abcd").hexdigest()
    assert tape.digest().body == b"ab"


def test_what_would_be_too_long_with_what_follows_is_not_kept():
    tape = Tape(3)
    tape.add(b"ab")
    assert tape.digest(b"cd").body is None
    assert tape.digest(b"c").body == b"abc"
