"""Old spellings of limits: `limits.budgets` and `limits.rate_limits` become entries of today's tables.

budgets: {enabled: true, alert_threshold: 0.8, by_user: {alice: {daily: 20}}}
by_user: {alice: {usd_per_day: {limit: 20, alerts: [80]}}}
"""

from collections.abc import Mapping

from jupiter_addons.documents import Mark, Node
from jupiter_addons.errors import Problem

_TABLES: Mapping[str, str] = {"by_api_key": "by_key", "by_user": "by_user", "by_team": "by_team"}
_NAMES: Mapping[str, Mapping[str, str]] = {
    "budgets": {"hourly": "usd_per_hour", "daily": "usd_per_day", "monthly": "usd_per_month"},
    "rate_limits": {"max_concurrent": "concurrent_requests"},
}
"""Old section -> the names that are others now."""


def rename_limits(limits: Node, problems: list[Problem], notes: list[Problem]) -> None:
    """Move what the old sections say into the tables of `limits`, with a note for each section."""
    assert limits.entries is not None
    for section in _NAMES:
        old = limits.entries.get(section)
        if old is None or old.entries is None:
            continue
        mark = limits.key_marks[section]
        enabled = old.entries.pop("enabled", None)
        threshold = old.entries.pop("alert_threshold", None)
        if enabled is None or enabled.scalar is not True:
            notes.append(mark.problem(f"`limits.{section}` is not `enabled`, and its limits are left out"))
        else:
            for table, entries in list(old.entries.items()):
                if table in _TABLES and entries.entries is not None:
                    _move(limits, section, table, entries, _percent(threshold), problems)
                    del old.entries[table]
            if old.entries:
                continue  # something nobody knows, which the schema will say
            notes.append(mark.problem(f"`limits.{section}` is `limits.by_user`, `by_team` and `by_key` now"))
        del limits.entries[section], limits.key_marks[section]


def _move(limits: Node, section: str, table: str, subjects: Node, percent: int | None, problems: list[Problem]) -> None:
    assert subjects.entries is not None
    for subject, rates in subjects.entries.items():
        for name, value in (rates.entries or {}).items():
            mark = rates.key_marks[name]
            if value.scalar == 0:
                continue  # which was how no limit was written
            entry = value
            if section == "budgets" and percent is not None and value.entries is None:
                alerts = Node(mark, items=[Node(mark, scalar=percent)])
                parts = {"limit": value, "alerts": alerts}
                entry = Node(value.mark, entries=parts, key_marks=dict.fromkeys(parts, mark))
            place = _below(_below(limits, _TABLES[table], mark), subject, mark)
            known = _NAMES[section].get(name, name)
            assert place.entries is not None
            if known in place.entries:
                problems.append(mark.problem(f"`limits.{section}.{table}.{subject}.{name}` is given twice"))
                continue
            place.entries[known], place.key_marks[known] = entry, mark


def _below(node: Node, key: str, mark: Mark) -> Node:
    """Return the mapping below a key, which is made if there is none."""
    if node.entries is None:
        node.entries = {}
    if key not in node.entries:
        node.entries[key] = Node(mark, entries={})
        node.key_marks[key] = mark
    return node.entries[key]


def _percent(threshold: Node | None) -> int | None:
    share = None if threshold is None else threshold.scalar
    return round(share * 100) if isinstance(share, (int, float)) and 0 < share <= 1 else None
