"""The options by which calls are chosen, the same for every command that is about some calls and not all of them."""

import datetime
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from jupiter_addons.evidence.query import Filter
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys
from jupiter_addons.units import NANO_PER_USD

_OPTIONS = (
    click.option(
        "--since", metavar="TIME", help="From this time on, UTC: 2026-01-31, 2026-01-31T12:00:00; 24h or 7d ago."
    ),
    click.option("--until", metavar="TIME", help="Before this time."),
    click.option("--id", metavar="ID", help="One call, by the id of its answer's x-jupiter-evidence-id."),
    click.option("--user", metavar="NAME", help="Calls of a user; a pseudonym (hmac:…) will do."),
    click.option("--team", metavar="NAME", help="Calls of a team."),
    click.option("--model", metavar="NAME", help="Calls that asked for a model."),
    click.option("--provider", metavar="NAME", help="Calls that a provider was the last to be asked for."),
    click.option("--verdict", type=click.Choice(["allow", "deny"]), help="Calls let through, or refused."),
    click.option(
        "--status", metavar="WORD", help="ok, refused, client_closed, provider_error, incomplete, fault, open …"
    ),
    click.option("--rule", metavar="NAME", help="Calls that a rule decided: `rule` or `policy/rule`."),
    click.option("--policy", metavar="NAME", help="Calls that a rule of a policy decided."),
    click.option("--fired", metavar="NAME", help="Calls for which a rule was met, deciding or not; reads every leaf."),
    click.option("--tag", metavar="NAME[=VALUE]", help="Calls that a rule has tagged."),
    click.option("--code", metavar="WORD", help="Calls refused with a code: policy_denied, rate_limited, …"),
    click.option("--door", type=click.Choice(["gateway", "intercept"]), help="The door they came through."),
    click.option("--endpoint", "path", metavar="PATH", help="Calls of a path: /v1/chat/completions."),
    click.option(
        "--attempts", "min_attempts", type=click.IntRange(1), help="Calls that took at least so many attempts."
    ),
    click.option("--min-cost", metavar="USD", help="Calls that cost at least so much."),
    click.option("--max-cost", metavar="USD", help="Calls that cost at most so much."),
    click.option("--min-tokens", type=click.IntRange(0), help="Calls that took at least so many tokens, in and out."),
    click.option("--max-tokens", type=click.IntRange(0), help="Calls that took at most so many."),
)


def filter_options[Command: Callable[..., Any]](command: Command) -> Command:
    """Give a command the options; what they say comes as keywords, for `wanted`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted(settings: Configuration, given: dict[str, Any], now_s: float) -> Filter:
    """Return the filter that the options make, taking them out of `given`.  Raises BadParameter, StoreError.

    A user is found by the pseudonym, which takes the key it was made with.
    """
    user = given.pop("user")
    if user is not None and not user.startswith("hmac:"):
        user = pseudonym(signing_keys.pseudonym_key(settings.signing_dir), user)
    return Filter(
        since_us=_time_us(given.pop("since"), "--since", now_s),
        until_us=_time_us(given.pop("until"), "--until", now_s),
        user=user,
        min_cost_nusd=_nano_usd(given.pop("min_cost"), "--min-cost"),
        max_cost_nusd=_nano_usd(given.pop("max_cost"), "--max-cost"),
        **{name: given.pop(name) for name in _PLAIN},
    )


_PLAIN = (
    *("id", "team", "model", "provider", "verdict", "status", "rule", "policy", "fired", "tag", "code", "door", "path"),
    *("min_attempts", "min_tokens", "max_tokens"),
)
_UNITS_S = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def _time_us(text: str | None, option: str, now_s: float) -> int | None:
    if text is None:
        return None
    if text[:-1].isdecimal() and text[-1] in _UNITS_S and len(text) < 8:
        return int((now_s - int(text[:-1]) * _UNITS_S[text[-1]]) * 1_000_000)
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        message = "a time is written like 2026-01-31 or 2026-01-31T12:00:00, or 24h for so long ago"
        raise click.BadParameter(message, param_hint=option) from error
    return int((at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp() * 1_000_000)


def _nano_usd(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        amount = Decimal(text) * NANO_PER_USD
    except InvalidOperation:
        amount = Decimal("nan")
    if not (amount.is_finite() and 0 <= amount < 2**53 and amount == int(amount)):
        raise click.BadParameter("dollars are written like 0.25", param_hint=option)
    return int(amount)
