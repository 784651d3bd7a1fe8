"""Making calls of functions: whether they fit, and what they are in fewer words.

A function about all text is a field, `has_role` is `contains`, `len` of a path is the path's length: evaluation knows fewer
functions than authors do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jupiter_addons.documents import Mark, Node
from jupiter_addons.policy.checks import a, kind_of
from jupiter_addons.policy.fields import SEVERITIES
from jupiter_addons.policy.functions import network
from jupiter_addons.policy.nodes import Apply, Field, Literally, Subject
from jupiter_addons.policy.paths import length_of
from jupiter_addons.policy.patterns import BadPatternError, wildcard
from jupiter_addons.policy.reading import Reading
from jupiter_addons.policy.terms import Terms
from jupiter_addons.policy.vocabulary import FUNCTIONS, PII_KINDS, REFUSED
from jupiter_addons.zones import zone

type Argument = tuple[Subject, Node | Mark]
"""An argument and its place."""

_CONTENT = "processing.content_analysis"
_ABOUT_ALL = {
    "has_pii": f"{_CONTENT}.pii_detection.detected",
    "has_injection": f"{_CONTENT}.prompt_injection.detected",
    "injection_score": f"{_CONTENT}.prompt_injection.confidence",
    "has_sensitive": f"{_CONTENT}.sensitive_content.detected",
}
"""What a function about all text is, as a field."""


class Calls:
    """Makes the calls of one file, noting what is wrong with them."""

    def __init__(self, reading: Reading, terms: Terms) -> None:
        self._reading = reading
        self._terms = terms

    def call(self, place: Node | Mark, name: str, arguments: Sequence[Argument]) -> Subject | None:
        """Return what a function gives, or note why it cannot be called so."""
        function = FUNCTIONS.get(name)
        if function is None:
            if name in REFUSED:
                self._reading.wrong(place, f"there is no function `{name}`", REFUSED[name])
            elif name:
                self._reading.wrong(place, f"unknown function `{name}`", self._reading.near(name, FUNCTIONS))
            return None
        most = None if function.more is not None else len(function.takes)
        if len(arguments) < function.needed or (most is not None and len(arguments) > most):
            self._reading.wrong(place, f"`{name}` takes {_count(function.needed, most)}")
            return None
        for at, (argument, where) in enumerate(arguments):
            takes = function.takes[at] if at < len(function.takes) else function.more
            kind = kind_of(argument)
            if kind == "null" or (kind != "any" and takes is not None and kind not in takes):
                self._reading.wrong(where, f"`{name}` does not take {a(kind)} here")
                return None
        mark = place.mark if isinstance(place, Node) else place
        if name in _MADE:
            return _MADE[name](self, mark, arguments)
        return Apply(name, tuple(argument for argument, _ in arguments), function.gives, mark)

    def _len(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        (subject, _), *_ = arguments
        if isinstance(subject, Field):
            return length_of(subject)
        return Apply("len", (subject,), "number", mark)

    def _has_role(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        return self._contains_of("context.user_attributes.roles", mark, arguments[0][0])

    def _contains_of(self, path: str, mark: Mark, wanted: Subject) -> Subject | None:
        field = self._terms.path(path, mark)
        return None if field is None else Apply("contains", (field, wanted), "boolean", mark)

    def _in_business_hours(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        name: Any = self._terms.zone or "UTC"
        if arguments:
            name = self._text(arguments[0], "a time zone")
        if name is None:
            return None
        if zone(name) is None:
            self._reading.wrong(arguments[0][1], f"there is no time zone `{name}`", "IANA names, like Europe/Berlin")
            return None
        now = self._terms.path("context.time.timestamp", mark)
        return None if now is None else Apply("in_business_hours", (now, Literally(name)), "boolean", mark)

    def _cidr(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        (address, _), wanted = arguments
        text = self._text(wanted, "a network")
        if text is None:
            return None
        if network(text) is None:
            self._reading.wrong(wanted[1], f"`{text}` is not a network", "like 10.0.0.0/8 or 2001:db8::/32")
            return None
        return Apply("cidr", (address, Literally(text)), "boolean", mark)

    def _glob(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        (subject, _), wanted = arguments
        text = self._text(wanted, "a form")
        if text is None:
            return None
        try:
            return Apply(
                "glob", (subject, Literally(text)), "boolean", mark, wildcard(text, allowance=self._reading.allowance)
            )
        except BadPatternError as bad:
            self._reading.wrong(wanted[1], str(bad))
            return None

    def _hash_bucket(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        (subject, _), (many, place) = arguments
        if not isinstance(many, Literally) or type(many.value) is not int or not 1 <= many.value <= 2**32:
            self._reading.wrong(
                place, "`hash_bucket` takes a whole number of buckets, at least 1, written in the policy"
            )
            return None
        return Apply("hash_bucket", (subject, many), "number", mark)

    def _pii(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        kinds = [self._text(argument, "a kind of personal data", PII_KINDS) for argument in arguments[1:]]
        if None in kinds:
            return None
        return Apply("pii", (arguments[0][0], Literally(list(kinds))), "boolean", mark)

    def _has_pii(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        if not arguments:
            return self._terms.path(_ABOUT_ALL["has_pii"], mark)
        if not isinstance(arguments[0][0], Literally):
            return self._pii(mark, arguments)
        kinds = [self._text(argument, "a kind of personal data", PII_KINDS) for argument in arguments]
        if None in kinds:
            return None
        return self._contains_of(f"{_CONTENT}.pii_detection.types", mark, Literally(list(kinds)))

    def _has_injection(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        if not arguments:
            return self._terms.path(_ABOUT_ALL["has_injection"], mark)
        return Apply("has_injection", (arguments[0][0],), "boolean", mark)

    def _injection_score(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        if not arguments:
            return self._terms.path(_ABOUT_ALL["injection_score"], mark)
        return Apply("injection_score", (arguments[0][0],), "number", mark)

    def _has_sensitive(self, mark: Mark, arguments: Sequence[Argument]) -> Subject | None:
        about_all = not arguments or isinstance(arguments[0][0], Literally)
        if about_all and len(arguments) > 1:
            self._reading.wrong(arguments[0][1], "`has_sensitive` takes a field before a severity")
            return None
        severity: str | None = SEVERITIES[0]
        if arguments[0 if about_all else 1 :]:
            severity = self._text(arguments[0 if about_all else 1], "a severity", SEVERITIES)
        if severity is None:
            return None
        at_least = Literally(list(SEVERITIES[SEVERITIES.index(severity) :]))
        if not about_all:
            return Apply("has_sensitive", (arguments[0][0], at_least), "boolean", mark)
        field = self._terms.path(
            f"{_CONTENT}.sensitive_content.severity" if arguments else _ABOUT_ALL["has_sensitive"], mark
        )
        return field if field is None or not arguments else Apply("contains", (at_least, field), "boolean", mark)

    def _text(self, argument: Argument, what: str, known: Iterable[str] | None = None) -> str | None:
        """Return an argument that has to be written in the policy, as one of the known words if there are any."""
        subject, place = argument
        if not isinstance(subject, Literally) or not isinstance(subject.value, str):
            self._reading.wrong(place, f"{what} has to be written in the policy, as text")
            return None
        if known is not None and subject.value not in known:
            near = self._reading.near(subject.value, known) or f"there is {', '.join(sorted(known))}"
            self._reading.wrong(place, f"`{subject.value}` is not {what}", near)
            return None
        return subject.value


_MADE: Mapping[str, Callable[[Calls, Mark, Sequence[Argument]], Subject | None]] = {
    "len": Calls._len,
    "has_role": Calls._has_role,
    "in_business_hours": Calls._in_business_hours,
    "cidr": Calls._cidr,
    "glob": Calls._glob,
    "hash_bucket": Calls._hash_bucket,
    "pii": Calls._pii,
    "has_pii": Calls._has_pii,
    "has_injection": Calls._has_injection,
    "injection_score": Calls._injection_score,
    "has_sensitive": Calls._has_sensitive,
}
"""How the functions are made that are more than their name and arguments."""


def _count(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least} argument{'' if least == 1 else 's'}"
    many = "" if most == 1 else "s"
    return f"{least} argument{many}" if least == most else f"{least} to {most} argument{many}"
