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
