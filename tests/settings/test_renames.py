"""Old spellings."""

import pytest

from jupiter_addons.documents import read
from jupiter_addons.settings.renames import rename

MOVED = {
    "proxy: {read_timeout: 5s}": ({"proxy": {"limits": {"header_timeout": "5s"}}}, "proxy.limits.header_timeout"),
    "proxy: {max_header_bytes: 9}": ({"proxy": {"limits": {"header_bytes": 9}}}, "proxy.limits.header_bytes"),
    "routing: {fallback: {max_attempts: 1}}": ({"routing": {"failover": {"max_attempts": 1}}}, "routing.failover"),
    "routing: {model_mapping: {a: b}}": ({"routing": {"aliases": {"a": "b"}}}, "routing.aliases"),
    "evidence: {sqlite: {path: e.db}}": ({"evidence": {"url": "sqlite:e.db"}}, "evidence.url"),
    "limits: {storage: {sqlite: {path: l.db}}}": (
        {"limits": {"storage": {"url": "sqlite:l.db"}}},
        "limits.storage.url",
    ),
    "limits: {storage: {backend: memory}}": ({"limits": {"storage": {"url": "memory:"}}}, "limits.storage.url"),
}
IMPLIED = {
    "evidence: {backend: sqlite, enabled: true}": {"evidence": {}},
    "limits: {storage: {backend: sqlite}}": {"limits": {"storage": {}}},
    "telemetry: {metrics: {path: /metrics}, health: {enabled: true}}": {"telemetry": {"metrics": {}}},
}


@pytest.mark.parametrize(("text", "expected", "new"), [(k, *v) for k, v in MOVED.items()], ids=MOVED.keys())
def test_an_old_key_is_moved_with_a_note(text, expected, new):
    root = read("f", text.encode())
    problems, (note,) = rename(root)
    assert problems == []
    assert root.plain() == expected
    assert f"is `{new}` now" in note.message
    assert (note.line, note.column) != (0, 0)


@pytest.mark.parametrize(("text", "expected"), IMPLIED.items(), ids=IMPLIED.keys())
def test_an_old_key_with_the_only_value_there_is_now_is_dropped_with_a_note(text, expected):
    root = read("f", text.encode())
    problems, notes = rename(root)
    assert problems == []
    assert root.plain() == expected
    assert all(note.message.endswith("is no longer needed") for note in notes)
    assert notes


@pytest.mark.parametrize(
    "text",
    [
        "limits: {storage: {backend: etcd}}",
        "evidence: {backend: s3}",
        "evidence: {enabled: false}",
        "telemetry: {metrics: {path: /m}}",
    ],
)
def test_an_old_key_with_another_value_stays_for_the_schema_to_refuse(text):
    root = read("f", text.encode())
    before = root.plain()
    assert rename(root) == ([], [])
    assert root.plain() == before


def test_an_old_and_a_new_key_together_are_a_problem():
    root = read("f", b"proxy:\n  read_timeout: 5s\n  limits: {header_timeout: 6s}\n")
    problems, notes = rename(root)
    assert notes == []
    assert [str(p) for p in problems] == [
        "f:2:3: `proxy.read_timeout` is `proxy.limits.header_timeout` now, and both are given"
    ]


def test_old_limits_become_entries_of_todays_tables():
    root = read(
        "f",
        b"limits:\n  budgets: {enabled: true, by_team: {lab: {daily: 3}}}\n  rate_limits: {enabled: false, by_user: {}}\n",
    )
    problems, notes = rename(root)
    assert problems == []
    assert root.plain() == {"limits": {"by_team": {"lab": {"usd_per_day": 3}}}}
    assert [note.line for note in notes] == [2, 3]


@pytest.mark.parametrize(
    "text", ["proxy: 3", "proxy: {read_timeout: 5s, limits: 4}", "evidence: {sqlite: [path]}", "- a"]
)
def test_a_section_that_is_no_mapping_is_left_to_the_schema(text):
    problems, notes = rename(read("f", text.encode()))
    assert (problems, notes) == ([], [])
