"""From configured limits to the plan that applies them."""

from collections.abc import Mapping

from jupiter_addons.limits.limit import KINDS, Terms
from jupiter_addons.limits.plan import LimitPlan, Rates, Table, Tables
from jupiter_addons.settings import schema_limits as schema


def limit_plan(limits: schema.Limits) -> LimitPlan:
    """Return which limits apply to whom."""

    def rates(given: schema.Rates) -> Rates:
        return {name: None if entry is None else _terms(name, entry, limits) for name, entry in given.given().items()}

    def table(given: Mapping[str, schema.Rates]) -> Table:
        return {subject: rates(one) for subject, one in given.items()}

    return LimitPlan(
        Tables(
            default=rates(limits.default),
            each={team: rates(one.each) for team, one in limits.by_team.items()},
            by_user=table(limits.by_user),
            by_key=table(limits.by_key),
            by_team=table(limits.by_team),
            by_organisation=table(limits.by_organisation),
            by_model=table(limits.by_model),
            by_provider=table(limits.by_provider),
            overall=rates(limits.overall),
        )
    )


def _terms(name: str, entry: schema.LimitEntry, limits: schema.Limits) -> Terms:
    in_calendar = getattr(entry, "window", "rolling") == "calendar" and KINDS[name].span is not None
    return Terms(
        amount=entry.limit,
        zone=(getattr(entry, "zone", None) or limits.time_zone) if in_calendar else None,
        burst=getattr(entry, "burst", None),
        enforcement=entry.enforcement or limits.enforcement.action,
        on_store_failure=getattr(entry, "on_store_failure", "deny"),
        alerts=tuple(sorted(set(limits.enforcement.alerts if entry.alerts is None else entry.alerts))),
    )
