"""What goes is what a reading of the rules, call by call, comes to; in both stores it is `test_evidence_prune` that looks."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from jupiter_addons.evidence.retention import DAY_US, Hold, Terms
from jupiter_addons.storage.evidence_cut import cut_of, expired_calls
from jupiter_addons.storage.evidence_prune import FileTables
from jupiter_addons.storage.evidence_schema import MIGRATIONS

NOW_DAY = 40


@dataclass(frozen=True)
class A:
    """A call that was refused or ended at once: one leaf, so many days after the one before."""

    later: int
    verdict: str
    user: str
    team: str | None


calls = st.lists(
    st.builds(
        A,
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from(["allow", "deny", "tag"]),
        st.sampled_from(["alice", "bob"]),
        st.sampled_from([None, "lab", "ops"]),
    ),
    min_size=1,
    max_size=700,
)
days = st.none() | st.integers(1, NOW_DAY)
holds = st.builds(
    lambda user, team, since: Hold("case", user, team, None if since is None else since * DAY_US),
    st.sampled_from([None, "alice", "carol"]),
    st.sampled_from([None, "lab", "none"]),
    st.none() | st.integers(0, NOW_DAY),
)
some_terms = st.builds(
    lambda kept, deny, content, most, held: Terms(kept, {} if deny is None else {"deny": deny}, content, most, held),
    days,
    days,
    days,
    st.none() | st.integers(1, 700),
    st.lists(holds, max_size=2),
)


def written(made: list[A]) -> tuple[sqlite3.Connection, list[int]]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    day, times = 0, []
    for idx, one in enumerate(made):
        day += one.later
        times.append(day * DAY_US)
        call = f"c{idx}"
        db.execute("INSERT INTO leaf VALUES (?, 'decision', ?, ?, x'', x'', '')", (idx, call, day * DAY_US))
        db.execute(
            'INSERT INTO call_index (call_id, idx, t_us, "user", team, verdict, status) VALUES (?, ?, ?, ?, ?, ?, ?)',
            (call, idx, day * DAY_US, one.user, one.team, one.verdict, "ok"),
        )
        db.execute("INSERT INTO payload VALUES (?, 'request', 'k', x'')", (call,))
    db.execute("INSERT OR REPLACE INTO meta VALUES ('indexed', ?)", (str(len(made)),))
    return db, times


def is_held(one: A, t_us: int, terms: Terms) -> bool:
    return any(
        hold.user in (None, one.user) and hold.team in (None, one.team) and (hold.since_us or 0) <= t_us
        for hold in terms.holds
    )


def is_over(kept: int | None, t_us: int) -> bool:
    return kept is not None and t_us < (NOW_DAY - kept) * DAY_US


@given(calls, some_terms)
def test_leaves_and_content_go_as_the_rules_say_and_nothing_else(made, terms):
    db, times = written(made)
    with closing(db):
        cut = cut_of(FileTables(db), terms, NOW_DAY * DAY_US)
        expired = set(expired_calls(FileTables(db), terms, NOW_DAY * DAY_US, 10_000))
    stays, content = len(made), set()
    for idx, (one, t_us) in reversed(list(enumerate(zip(made, times, strict=True)))):
        kept = terms.by_verdict.get("deny", terms.days) if one.verdict == "deny" else terms.days
        too_many = terms.max_records is not None and len(made) - idx > terms.max_records
        if is_held(one, t_us, terms) or not (is_over(kept, t_us) or too_many):
            stays = idx
        known = [number for number in (terms.content_days, kept) if number is not None]
        if known and is_over(min(known), t_us) and not is_held(one, t_us, terms):
            content.add(f"c{idx}")
    assert cut.upto == stays // 256 * 256
    assert expired == content
    assert cut.contents == len(content)
