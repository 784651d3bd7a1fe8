"""A journal counts everything and keeps the newest."""

from jupiter_addons.rehearsal.journal import Entry, Journal


def test_only_the_newest_are_kept():
    journal = Journal(keep=2)
    for number in range(3):
        journal.add(Entry("GET", f"/{number}", [("A", "1")], b""))
    assert journal.seen == 3
    assert [entry.target for entry in journal.entries] == ["/1", "/2"]
    assert (journal.entries[0].header("a"), journal.entries[0].header("b")) == ("1", None)
