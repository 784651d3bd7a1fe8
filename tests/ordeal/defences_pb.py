"""The switches of the rows PB: what keeps rules from being got round."""

from typing import Any

from __main__ import defence  # defences.py, run as a program, of which this is a part


@defence
def linear_expressions() -> None:
    """Expressions are those of `re`, which goes back and tries again, and no automaton is asked before them."""
    import re

    from jupiter_addons.policy import checks, compile

    def expression(text: str) -> Any:
        return re.compile(text.encode())

    checks.expression = expression
    compile.gate = lambda _expressions: None


@defence
def unknown_denies() -> None:
    """A condition that cannot be evaluated is one that does not hold."""
    from jupiter_addons.policy.rules import Rule

    Rule.denies = property(lambda _rule: False)  # type: ignore[assignment]


@defence
def exact_doors() -> None:
    """Whatever a path ends in is what it means."""
    from jupiter_addons.dialects import endpoints

    original = endpoints.find

    def lenient(method: str, target: str) -> Any:
        path = target.partition("?")[0].rstrip("/").lower()
        for known in endpoints.ENDPOINTS:
            if path.endswith(known.removeprefix("/v1")):
                return original(method, known)
        return original(method, target)

    endpoints.find = lenient


@defence
def one_name() -> None:
    """A name means itself."""
    from jupiter_addons.routing.registry import Registry, Resolved

    Registry.resolve = lambda self, name: Resolved(name)  # type: ignore[method-assign]


@defence
def all_places() -> None:
    """Only what the user says is looked through."""
    from jupiter_addons.stages import facts

    original = facts._request

    def narrow(x: Any, call: Any) -> dict[str, Any]:
        found = original(x, call)
        return {**found, "text": "\n".join(m.text for m in call.messages if m.role == "user")}

    facts._request = narrow
