"""Passes: good for one block, under an id that no key in the database has, and beside all other keys."""

import pytest

from jupiter_addons.identity.authenticate import authenticate, still_valid
from jupiter_addons.identity.credentials import INVALID, Presented
from jupiter_addons.identity.keys import KeyRecord, mint
from jupiter_addons.identity.passes import Passes
from jupiter_addons.identity.principals import Principal

KEY, RECORD = mint("alice", entropy=lambda n: bytes(range(n)), now_s=0)


class Stored:
    """The keys of a database."""

    def current(self) -> dict[str, KeyRecord]:
        return {RECORD.id: RECORD}

    def renew(self) -> bool:
        return True


def some_passes() -> Passes:
    return Passes(Stored(), lambda n: bytes(range(100, 100 + n)))


def who(passes: Passes, text: str, now_s: float = 1000):
    return authenticate(Presented(text), passes.current(), {}, now_s)


def test_a_pass_is_good_inside_its_block_and_nowhere_else():
    passes = some_passes()
    with passes.one("system:health", "check:a", now_s=1000, for_s=10) as text:
        assert who(passes, text) == Principal("system:health", "check:a")
        assert who(passes, KEY) == Principal("alice", RECORD.id)
    assert who(passes, text) == INVALID
    assert who(passes, KEY) == Principal("alice", RECORD.id)


def test_a_pass_is_taken_back_when_its_block_fails():
    passes = some_passes()
    with pytest.raises(RuntimeError), passes.one("u", "check:a", now_s=1000, for_s=10) as text:
        raise RuntimeError
    assert who(passes, text) == INVALID


def test_a_pass_expires_even_if_its_block_never_ends():
    passes = some_passes()
    with passes.one("u", "check:a", now_s=1000, for_s=10) as text:
        assert who(passes, text, 1012) == INVALID


def test_a_pass_opens_no_tunnel_for_what_comes_later():
    passes = some_passes()
    with passes.one("u", "check:a", now_s=1000, for_s=10):
        assert still_valid("check:a", passes.current(), 1000) == INVALID


def test_the_database_is_looked_at_again_for_a_key_that_is_new():
    assert some_passes().renew()


def test_what_the_database_says_is_passed_on_as_it_is_while_no_pass_is_out():
    class Broken:
        def current(self) -> dict[str, KeyRecord]:
            raise OSError("no database")

        def renew(self) -> bool:
            return False

    passes = Passes(Broken(), lambda n: bytes(n))
    with pytest.raises(OSError, match="no database"):
        passes.current()
