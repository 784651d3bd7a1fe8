"""The options by which calls are chosen, the same for every command that is about some calls and not all of them."""

from collections.abc import Callable
from typing import Any

import click

from jupiter_addons.evidence.asking import NAMES, QuestionError, asked
from jupiter_addons.evidence.query import Filter
from jupiter_addons.evidence.record import pseudonym
from jupiter_addons.settings.load import Configuration
from jupiter_addons.storage import signing_keys

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
    click.option("--endpoint", metavar="PATH", help="Calls of a path: /v1/chat/completions."),
    click.option("--attempts", type=click.IntRange(1), help="Calls that took at least so many attempts."),
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
    """Return the filter that the options make, taking them out of `given`.  Raises BadParameter, StoreError."""
    texts = {name: str(value) for name in sorted(NAMES) if (value := given.pop(name)) is not None}

    def named(user: str) -> str:
        return pseudonym(signing_keys.pseudonym_key(settings.signing_dir), user)

    try:
        return asked(texts, named, now_s)
    except QuestionError as error:
        raise click.BadParameter(str(error), param_hint=f"--{error.name.replace('_', '-')}") from error
