"""Calls from pages of other sites: which origins may make them, said in the headers that browsers ask for.

A browser sends the call of a page with a key in it only after a preflight has been answered (Fetch standard, section 3.2);
preflights carry no key, so they are answered before anybody is asked for one.  Nothing is allowed unless it is configured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mitmproxy import http

from jupiter_addons.errors import Refusal
from jupiter_addons.exchange import Exchange
from jupiter_addons.host.answers import empty_answer
from jupiter_addons.stages.stage import stage


@dataclass(frozen=True, slots=True)
class CorsRules:
    """What the configuration says of other sites' pages."""

    origins: frozenset[str]
    """`https://app.example`, or `*` for every site."""
    headers: Sequence[str]
    """Names that may be sent; `x-stainless-*` is every name that begins so."""
    exposed: Sequence[str]
    max_age_s: int
    credentials: bool


class AllowOrigin:
    """Origin -> headers, and the answer to a preflight."""

    def __init__(self, rules: CorsRules | None) -> None:
        """`rules` is None where no page of another site may call."""
        self._rules = rules

    @stage
    def requestheaders(self, flow: http.HTTPFlow, x: Exchange) -> None:
        """Note what an allowed origin is told with every answer; answer its preflight."""
        rules, origin = self._rules, flow.request.headers.get("origin")
        if rules is None or origin is None or x.door != "gateway":
            return
        preflight = flow.request.method == "OPTIONS" and "access-control-request-method" in flow.request.headers
        if "*" not in rules.origins and origin not in rules.origins:
            if preflight:
                x.refuse(Refusal("endpoint_denied", "this origin may not call here"))
            return
        x.cors = self._headers(rules, origin)
        if preflight:
            asked = flow.request.headers.get("access-control-request-headers", "")
            flow.response = empty_answer(x, 204, self._preflight(rules, asked))

    @staticmethod
    def _headers(rules: CorsRules, origin: str) -> Mapping[str, str]:
        found = {"access-control-allow-origin": "*" if "*" in rules.origins else origin, "vary": "origin"}
        if rules.exposed:
            found["access-control-expose-headers"] = ", ".join(rules.exposed)
        if rules.credentials:
            found["access-control-allow-credentials"] = "true"
        return found

    @staticmethod
    def _preflight(rules: CorsRules, asked: str) -> Mapping[str, str]:
        named = [name for name in rules.headers if "*" not in name]
        families = tuple(name[:-1] for name in rules.headers if name.endswith("*"))
        named += [name for name in map(str.strip, asked.lower().split(",")) if families and name.startswith(families)]
        return {
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": ", ".join(named),
            "access-control-max-age": str(rules.max_age_s),
        }
