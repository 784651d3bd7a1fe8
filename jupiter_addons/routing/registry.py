"""Which model a name means: aliases, providers' prefixes, and names that are none.

Clients spell models in many ways; rules, limits and prices know each by one.  So a name is resolved before anything is decided
about it, and what has no one meaning is not found: nothing is trimmed, folded or guessed, because a provider may do that too,
and then serve what a rule has denied under another spelling.

    fast                    an alias of the operator's           -> what it stands for
    gpt-4o                  offered under this name              -> itself
    azure/gpt-4o            `azure` is a provider that offers it -> gpt-4o, there and nowhere else
    gpt-4o-2024-08-06       a model of its own, where a pattern or a name offers it
    GPT-4o, `gpt-4o `, …    nobody's, unless offered under exactly this name
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jupiter_addons.errors import Refusal
from jupiter_addons.routing.provider import Provider, matches

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:/@+-]{0,126}[A-Za-z0-9])?", re.ASCII)
"""What the names of models are made of, at every provider we know: no spaces, nothing invisible, no look-alikes."""
_DATE = re.compile(r"-(?:20[0-9]{2}-[01][0-9]-[0-3][0-9]|20[0-9]{2}[01][0-9][0-3][0-9])$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a name means."""

    model: str
    """The one name that rules, limits and prices have for it."""
    provider: str | None = None
    """Who alone is meant, where the name says so."""


class Registry:
    """The names of all models that are offered here."""

    def __init__(self, providers: Sequence[Provider], aliases: Mapping[str, str]) -> None:
        """`aliases` map a name to a model, or to one at a provider (`azure/gpt-4o`); never to another alias."""
        self._providers = {provider.name: provider for provider in providers}
        self._aliases = aliases
        exact = {name for provider in providers for name in (*provider.models, *provider.model_map) if "*" not in name}
        self._exact = frozenset(exact)
        self._patterns = tuple({name: None for provider in providers for name in provider.models if "*" in name})

    def resolve(self, name: str) -> Resolved | Refusal:
        """Return what a name means, or 404."""
        if name in self._aliases:
            name = self._aliases[name]
        if name in self._exact:
            return Resolved(name)
        if _NAME.fullmatch(name):
            provider, slash, rest = name.partition("/")
            if slash and provider in self._providers and self._offers(provider, rest):
                return Resolved(rest, provider)
            if any(_covers(pattern, name) for pattern in self._patterns):
                return Resolved(name)
        return not_offered(name)

    def canonical(self, name: str) -> str:
        """Return the one name that rules have for what a name means; a name that means nothing stays as it is."""
        found = self.resolve(name)
        return found.model if isinstance(found, Resolved) else name

    def _offers(self, provider: str, model: str) -> bool:
        known = self._providers[provider]
        exact = model in known.model_map or model in known.models
        return exact or any("*" in pattern and _covers(pattern, model) for pattern in known.models)

    def listing(self, catalogue: Iterable[str]) -> tuple[str, ...]:
        """Return the names to list: aliases, those configured exactly, and those of `catalogue` that a pattern covers."""
        covered = {name for name in catalogue if any(_covers(pattern, name) for pattern in self._patterns)}
        return tuple(sorted({*self._aliases, *self._exact, *covered}))


def undated(model: str) -> str:
    """Return the name of a model without the date of a snapshot: `gpt-4o-2024-08-06` is a `gpt-4o`."""
    return _DATE.sub("", model)


def not_offered(name: str) -> Refusal:
    """Return the refusal of a name that means nothing here."""
    return Refusal("model_not_found", f"model `{plain(name)}` is not offered here", param="model")


def plain(text: str) -> str:
    """Return a client's text as it can be repeated: printable, short, without what would end the quotation."""
    return "".join(char if char.isprintable() and char != "`" else "?" for char in text[:100])


def _covers(pattern: str, name: str) -> bool:
    """Whether a pattern offers a name; one in lower case offers no capitals, which some providers read as lower case."""
    if not matches(pattern, name):
        return False
    literal = pattern.replace("*", "")
    return not literal or literal != literal.lower() or name == name.lower()
