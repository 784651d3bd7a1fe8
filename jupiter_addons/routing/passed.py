"""Where goes what is passed on without a model: files, batches, and whatever is at an unknown path.

What was made under one account is known there alone.  So a file goes to the first provider that can be asked for it, by the
order of the configuration, and everything about files goes there as well, be it well or not; the client of an opened host is
served by that host.
"""

from collections.abc import Sequence

from jupiter_addons.errors import Refusal
from jupiter_addons.routing.plan import Candidate, Route, Wanted
from jupiter_addons.routing.provider import Provider
from jupiter_addons.routing.state import RoutingState

_NONE = Refusal("no_provider", "no provider is configured to be asked for this")
_NOT_ALLOWED = Refusal("policy_denied", "no provider of this may be asked by this caller")


def plan_passed(
    wanted: Wanted, path: str, providers: Sequence[Provider], state: RoutingState, *, one: bool
) -> Route | Refusal:
    """Return the route of a call that names no model, in the order of the configuration.

    `one`: what it is about is known to one provider.  Tags are no preference but a demand: they do not make the second the
    first, or a file would be looked for where it is not.
    """
    if wanted.only is not None:
        able = [provider for provider in providers if provider.name == wanted.only]
    else:
        able = [provider for provider in providers if provider.has(path)]
    if wanted.named is not None:
        order = list(wanted.named)
        able = sorted((p for p in able if p.name in order), key=lambda p: order.index(p.name))
    if one:
        able = able[:1]
    if not able:
        return _NONE
    allowed = [provider for provider in able if wanted.tags <= provider.answers_to]
    if not allowed:
        return _NOT_ALLOWED
    candidates = [Candidate(provider, "", "") for provider in allowed]
    up = [candidate for candidate in candidates if not state.wait_s(candidate.pair)]
    if not up:
        wait_s = min(state.wait_s(candidate.pair) for candidate in candidates)
        return Refusal("no_provider", "every provider that can be asked for this is failing", retry_after_s=wait_s)
    return Route(tuple(up), "policy" if wanted.named is not None else "order")
