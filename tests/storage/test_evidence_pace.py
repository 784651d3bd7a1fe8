"""The event loop commits by itself only where that cannot hold it up."""

from jupiter_addons.storage.evidence_pace import AT_START, FAST_S, PROBATION, SHARE, Pace

FAST, SLOW = FAST_S / 2, FAST_S * 4


def noted(pace: Pace, *took: float, inline: bool = False, at: float = 100.0) -> Pace:
    for one in took:
        pace.note(at - one, at, inline=inline)
    return pace


def test_at_start_the_thread_shows_that_commits_are_fast():
    pace = Pace()
    assert not pace.allows(1e9)
    assert not noted(pace, *[FAST] * (AT_START - 1)).allows(1e9)
    assert noted(pace, FAST).allows(1e9)


def test_the_event_loop_is_left_alone_between_two_commits():
    pace = noted(Pace(), *[FAST] * 200)
    assert not pace.allows(100.0 + FAST * (SHARE - 0.1))
    assert pace.allows(100.0 + FAST * (SHARE + 0.1))


def test_one_slow_commit_sends_all_that_follow_to_the_thread_until_it_has_made_enough_fast_ones():
    pace = noted(Pace(), *[FAST] * 50)
    assert not noted(pace, SLOW, inline=True).allows(1e9)
    assert not noted(pace, *[FAST] * (PROBATION - 1)).allows(1e9)
    assert noted(pace, FAST).allows(1e9)


def test_on_a_slow_disk_the_event_loop_never_commits():
    pace = Pace()
    for _ in range(1000):
        noted(pace, *[FAST] * (AT_START - 1), SLOW)
        assert not pace.allows(1e9)


def test_slow_commits_of_the_event_loop_stay_below_one_in_a_hundred():
    pace, inline, slow = Pace(), 0, 0
    for number in range(50_000):
        here = pace.allows(1e9)
        took = SLOW if number % 7 == 0 else FAST
        inline, slow = inline + here, slow + (here and took == SLOW)
        noted(pace, took, inline=here)
    assert slow * 100 <= 50_000


def test_a_store_that_failed_is_for_the_thread():
    pace = noted(Pace(), *[FAST] * 50)
    pace.hold()
    assert not pace.allows(1e9)
